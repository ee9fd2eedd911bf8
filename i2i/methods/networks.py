"""The networks of a translator, and what they demand of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from i2i.errors import OptionError

if TYPE_CHECKING:
    from i2i.methods.translator import Translator


class ImageConstraints(NamedTuple):
    """What a translator demands of the images that it translates.

    Args:
        multiple: number that height and width must be divisible by.
        fixed_size: the only height and width in pixels that the networks take; None for any size.
        batch_dependent: images must be translated one at a time, because a norm would mix those of a batch.
    """

    multiple: int
    fixed_size: tuple[int, int] | None
    batch_dependent: bool


def image_constraints(translator: Translator) -> ImageConstraints:
    """Return what the inference networks declare by attributes `multiple`, `fixed_size` and `mixes_samples`."""
    networks = list(called(map(translator.get_submodule, translator.inference_modules)))
    sizes = [getattr(network, "fixed_size", None) for network in networks]
    return ImageConstraints(
        multiple=max((int(getattr(network, "multiple", 1)) for network in networks), default=1),
        fixed_size=next((size for size in sizes if size is not None), None),
        batch_dependent=any(getattr(m, "mixes_samples", False) for network in networks for m in network.modules()),
    )


def trained_networks(translator: Translator) -> list[nn.Module]:
    """Return the modules that are called in those submodules that any phase trains."""
    return list(called(map(translator.get_submodule, translator.trainable)))


def network(component: object) -> nn.Module:
    """Return a component, which must be a module.

    Raises:
        OptionError: it is not.
    """
    if not isinstance(component, nn.Module):
        raise OptionError("type", f"expected a network (torch.nn.Module), got {type(component).__name__}")
    return component


def called(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """Yield the modules themselves, in place of the dictionaries and lists that hold them."""
    for module in modules:
        if isinstance(module, nn.ModuleDict | nn.ModuleList):
            yield from called(module.children())
        else:
            yield module
