"""The layers of a network one by one and by name, so that features can be tapped between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from i2i.errors import OptionError

Tap = int | str
"""A layer's name, or its number."""
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


def tapped(stages: Sequence[Stage], x: Tensor, taps: Sequence[Tap]) -> tuple[Tensor, ...]:
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


def tapped_channels(stages: Sequence[Stage], taps: Sequence[Tap]) -> tuple[int, ...]:
    """Channels after the layers `taps`.

    Raises:
        OptionError: no such layer.
    """
    channels = {stage.name: stage.channels for stage in stages}
    return tuple(channels[name] for name in named_taps(stages, taps))
