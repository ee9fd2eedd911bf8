"""The layers of a network one by one and by name, so that features can be tapped between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from i2i.errors import OptionError
from i2i.nn.layers.batch_independence import is_batch_independent

Tap = int | str
"""A layer's name, or its number."""
Features = tuple[Tensor, ...]
"""Feature maps [B, C, h, w]."""
IMAGE = "image"


class Stage(NamedTuple):
    """One layer on a network's way.

    Args:
        name: unique in the network, such as `down.0.conv`.
        layer: what it does.
        channels: of what comes out.
        aside: whether the next layer takes what this one took, not what it gave.
    """

    name: str
    layer: Callable[[Tensor], Tensor]
    channels: int
    aside: bool = False


def padded_image(padding: int) -> Stage:
    """The image as the first convolution sees it, padded by reflection, as the stage `image`."""
    return Stage(IMAGE, nn.ReflectionPad2d(padding), 3, aside=True)


def named_taps(stages: Sequence[Stage], taps: Sequence[Tap]) -> tuple[str, ...]:
    """Names of taps, of which some may be numbers.

    Numbers count the layers from 0 as the official CUT code does. There the activation works in place, which turns the
    features tapped after a norm into those after its activation, unless they are the last ones and nothing follows.

    Raises:
        OptionError: no such layer; names all there are.
    """
    names = [stage.name for stage in stages]
    last = max((tap for tap in taps if isinstance(tap, int)), default=0)
    found = []
    for tap in taps:
        if tap not in (range(len(names)) if isinstance(tap, int) else names):
            raise OptionError("taps", f"no layer {tap!r}; layers from 0 to {len(names) - 1}: {', '.join(names)}")
        name = names[tap] if isinstance(tap, int) else tap
        activated = name.replace(".norm", ".activation")
        found.append(activated if isinstance(tap, int) and tap < last and activated in names else name)
    return tuple(found)


def tapped(stages: Sequence[Stage], x: Tensor, taps: Sequence[Tap]) -> Features:
    """Features after the layers `taps`, in their order; layers beyond the last of them are not computed.

    Raises:
        OptionError: no such layer.
    """
    wanted = named_taps(stages, taps)
    found: dict[str, Tensor] = {}
    for stage in stages:
        if len(found) == len(set(wanted)):
            break
        if stage.aside and stage.name not in wanted:
            continue
        given = stage.layer(x)
        if stage.name in wanted:
            found[stage.name] = given
        x = x if stage.aside else given
    return tuple(found[name] for name in wanted)


@contextmanager
def capture_features(
    stages: Sequence[Stage], image: Tensor, taps: Sequence[Tap]
) -> Iterator[Callable[[], Features | None]]:
    """Listens to a network that is at work on an image, so that its features need not be computed once more.

    Yields:
        heard: gives, after the work, the features after the layers `taps`; None where some of them cannot be heard,
        because they are no modules or were not called, or would be others in another batch.

    Raises:
        OptionError: no such layer.
    """
    wanted = named_taps(stages, taps)
    found: dict[str, Tensor] = {}

    def captured() -> Features | None:
        return tuple(found[name] for name in wanted) if found.keys() == set(wanted) else None

    last = max((index for index, stage in enumerate(stages) if stage.name in wanted), default=-1)
    way = [stage.layer for stage in stages[: last + 1]]
    alone = all(isinstance(layer, nn.Module) and is_batch_independent(layer) for layer in way)
    hooks = []
    for stage in stages:
        if stage.name not in wanted or not alone:
            continue
        if stage.name == IMAGE:
            found[IMAGE] = stage.layer(image)
        elif isinstance(stage.layer, nn.Module):
            hooks.append(stage.layer.register_forward_hook(partial(_note, found, stage.name)))
    try:
        yield captured
    finally:
        for hook in hooks:
            hook.remove()


def _note(found: dict[str, Tensor], name: str, layer: nn.Module, given: object, made: Tensor) -> None:
    found[name] = made


def tapped_channels(stages: Sequence[Stage], taps: Sequence[Tap]) -> tuple[int, ...]:
    """Channels after the layers `taps`.

    Raises:
        OptionError: no such layer.
    """
    channels = {stage.name: stage.channels for stage in stages}
    return tuple(channels[name] for name in named_taps(stages, taps))
