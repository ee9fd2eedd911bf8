"""Copies of weights in the precision of the computation, cast all together instead of layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from i2i.nn.private_torch import copy_all_, set_parameter, tree_leaves

PRODUCTS = (
    *(F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
    F.linear,
)
"""What autocast computes in half precision; the second argument is the weight, the third the bias."""


class _Uses(TorchFunctionMode):
    """Finds the parameters that are weights and biases of products, and nothing else."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.known = {id(p) for p in parameters}
        self.in_products: set[int] = set()
        self.elsewhere: set[int] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in PRODUCTS:
            self.in_products |= self.known & {id(x) for x in args[1:3]}
            args = args[:1]
        if isinstance(result, Tensor):
            given = {id(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor) and x is not result}
            self.elsewhere |= self.known & given
        return result


class WeightCopies(nn.Module):
    """Half-precision copies of the weights that take part in convolutions and linear layers alone.

    Autocast casts each weight once in each phase, and each gradient back: two operations for each layer. Here all
    weights that have changed are cast together, and all gradients together after the backward pass. The numbers are
    autocast's, bit by bit. Which weights these are is seen in the first step, which runs without copies: a weight that
    any other function takes, such as spectral norm, is left to autocast.

    Without parameters of its own: the translator's are replaced only while a phase computes its losses and gradients.

    Args:
        translator: the module whose weights are copied.
        dtype: bfloat16 or float16.
    """

    def __init__(self, translator: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self._uses = _Uses(list(translator.parameters()))
        named = [(module, name, p) for module in translator.modules() for name, p in module.named_parameters("", False)]
        self._places: tuple[tuple[nn.Module, str, nn.Parameter], ...] = tuple(named)
        self._copies: dict[nn.Parameter, Tensor] | None = None
        self._changed: list[nn.Parameter] = []
        # A gradient that two phases give is summed in full precision: each phase has leaves of its own, which share
        # the copies' memory.
        self._leaves: dict[str, dict[nn.Parameter, nn.Parameter]] = {}
        self._current: dict[nn.Parameter, nn.Parameter] = {}

    @contextmanager
    def step(self) -> Iterator[None]:
        """Context of one training step: the first one finds the weights, later ones begin with new copies of all."""
        self._changed = list(self._copies or ())
        yield
        if self._copies is None:
            chosen = self._uses.in_products - self._uses.elsewhere
            self._places = tuple(place for place in self._places if id(place[2]) in chosen)
            self._copies = {p: p.detach().to(self.dtype) for _, _, p in self._places}

    def mark_changed(self, parameters: Iterable[nn.Parameter]) -> None:
        """Have parameters, those that have copies, cast again before the next phase."""
        self._changed += [p for p in parameters if p in (self._copies or {})]

    @contextmanager
    def in_place(self, phase: str) -> Iterator[None]:
        """Context of a phase's losses and gradients: copies replace the parameters and give them their gradients."""
        if self._copies is None:
            with self._uses:
                yield
            return
        if self._changed:
            copy_all_([self._copies[p] for p in self._changed], [p.detach() for p in self._changed])
            self._changed = []
        if phase not in self._leaves:
            self._leaves[phase] = {p: nn.Parameter(copy) for p, copy in self._copies.items()}
        self._current = self._leaves[phase]
        try:
            for module, name, parameter in self._places:
                set_parameter(module, name, self._current[parameter])
            yield
        finally:
            for module, name, parameter in self._places:
                set_parameter(module, name, parameter)
            self._current = {}
        for leaves in self._leaves.values():
            _give_gradients({parameter: leaf for parameter, leaf in leaves.items() if leaf.grad is not None})

    def start_phase_(self) -> None:
        """Train the copies of those parameters that the phase trains."""
        for parameter, leaf in self._current.items():
            leaf.requires_grad_(parameter.requires_grad)


def _give_gradients(leaves: Mapping[nn.Parameter, nn.Parameter]) -> None:
    """Add the gradients of leaves to those of their parameters."""
    if not leaves:
        return
    gradients = [torch.empty_like(parameter) for parameter in leaves]
    copy_all_(gradients, [cast(Tensor, leaf.grad) for leaf in leaves.values()])
    for (parameter, leaf), gradient in zip(leaves.items(), gradients, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        leaf.grad = None
