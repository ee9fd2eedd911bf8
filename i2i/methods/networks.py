"""The networks that a translator consists of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn

from i2i.errors import OptionError


def network(component: object) -> nn.Module:
    """What a factory has built, which must have weights.

    Raises:
        OptionError: it is no module.
    """
    if not isinstance(component, nn.Module):
        raise OptionError("type", f"expected a network (torch.nn.Module), got {type(component).__name__}")
    return component


def called(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The modules that are called, in place of the mappings and lists that hold them."""
    for module in modules:
        if isinstance(module, nn.ModuleDict | nn.ModuleList):
            yield from called(module.children())
        else:
            yield module
