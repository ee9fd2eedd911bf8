"""Pretrained modules that others use without training or saving them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


class Frozen(nn.Module):
    """Hold a module outside its owner's parameters and state dict; it still moves to the owner's device and type.

    A loss holds its feature extractor this way, as a checkpoint would otherwise carry weights that never change.

    Args:
        module: the module to hold; put into evaluation mode, and its parameters need no gradient.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._held = (module.eval().requires_grad_(False),)  # a tuple, in which torch does not look for submodules

    @property
    def module(self) -> nn.Module:
        """The module that is held."""
        return self._held[0]

    def forward(self, *args: Any) -> Any:
        return self.module(*args)

    def load_weights_(self) -> None:
        """Load the pretrained weights of the module, if it has a method of this name."""
        load_weights_: Callable[[], None] | None = getattr(self.module, "load_weights_", None)
        if load_weights_ is not None:
            load_weights_()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Frozen:
        self.module._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def extractor_sources(module: nn.Module) -> dict[str, str]:
    """Return the `source` of each feature extractor inside a module, by the name of the submodule.

    A network counts as one if it has what `i2i.core.contracts.FeatureExtractor` asks for: `num_features`, `source`
    and `load_weights_`. Those that losses hold are found, too.

    Args:
        module: such as a translator.
    """
    sources = {}
    for name, submodule in module.named_modules():
        network = submodule.module if isinstance(submodule, Frozen) else submodule
        source = getattr(network, "source", None)
        extracts = isinstance(getattr(network, "num_features", None), tuple) and hasattr(network, "load_weights_")
        if extracts and isinstance(source, str):
            sources[name] = source
    return sources


def image_metadata(sources: dict[str, str]) -> dict[str, str]:
    """Return the metadata that output images get: each feature extractor once, or nothing.

    Args:
        sources: of `extractor_sources`.
    """
    text = "; ".join(dict.fromkeys(sources.values()))
    return {"feature extractor": text} if text else {}
