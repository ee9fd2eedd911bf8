"""A network as a list of named stages, so that features can be taken between its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, NamedTuple

from torch import Tensor, nn

from i2i.errors import OptionError
from i2i.nn.layers.fusion import finish
from i2i.nn.layers.independence import is_batch_independent

Tap = int | str
"""A stage, by its number or name, whose features are wanted."""
Features = tuple[Tensor, ...]
"""Feature maps [B, C, h, w]."""
IMAGE = "image"


class Stage(NamedTuple):
    """One layer of a network, in the order of its forward pass.

    Args:
        name: unique in the network, such as `down.0.conv`.
        layer: the module, or a function of features.
        channels: of the layer's output.
        aside: whether the next stage gets this stage's input instead of its output.
    """

    name: str
    layer: Callable[[Tensor], Tensor]
    channels: int
    aside: bool = False


def padded_image(padding: int, channels: int = 3) -> Stage:
    """Return the stage `image`: the image, padded by `padding` reflected pixels, as the first convolution gets it."""
    return Stage(IMAGE, nn.ReflectionPad2d(padding), channels, aside=True)


def named_taps(stages: Sequence[Stage], taps: Sequence[Tap]) -> tuple[str, ...]:
    """Return taps as names.

    Numbers count the stages from 0 as the official CUT code does. There the activation works in place, which turns the
    features taken after a norm into those after its activation, unless they are the last ones and nothing follows.

    Args:
        stages: of the network.
        taps: names or numbers of stages.

    Raises:
        OptionError: there is no such stage; lists all of them.
    """
    names = [stage.name for stage in stages]
    last = max((tap for tap in taps if isinstance(tap, int)), default=0)
    resolved = []
    for tap in taps:
        if tap not in (range(len(names)) if isinstance(tap, int) else names):
            raise OptionError("taps", f"no layer {tap!r}; layers from 0 to {len(names) - 1}: {', '.join(names)}")
        name = names[tap] if isinstance(tap, int) else tap
        activated = name.replace(".norm", ".activation")
        resolved.append(activated if isinstance(tap, int) and tap < last and activated in names else name)
    return tuple(resolved)


def tapped(stages: Sequence[Stage], x: Tensor, taps: Sequence[Tap]) -> Features:
    """Compute the features after the stages `taps`, in their order; stages beyond the last of them do not run.

    Args:
        stages: of the network.
        x: input of the first stage.
        taps: names or numbers of stages.

    Raises:
        OptionError: there is no such stage.
    """
    wanted = named_taps(stages, taps)
    features: dict[str, Tensor] = {}
    done: Callable[[Tensor], Tensor] | None = None
    for stage, following in zip_longest(stages, stages[1:]):
        if len(features) == len(set(wanted)):
            break
        if (stage.aside and stage.name not in wanted) or stage.layer is done:
            continue
        done = None
        if following is not None and stage.name.endswith(".norm") and stage.name not in wanted:
            y, done = finish(x, stage.layer, following.layer), following.layer
            stage = following  # the norm and its activation are one operation on a GPU
        else:
            y = stage.layer(x)
        if stage.name in wanted:
            features[stage.name] = y
        x = x if stage.aside else y
    return tuple(features[name] for name in wanted)


@contextmanager
def capture_features(
    stages: Sequence[Stage], image: Tensor, taps: Sequence[Tap]
) -> Iterator[Callable[[], Features | None]]:
    """Capture features with hooks while a network runs on an image, so that they need not be computed once more.

    Args:
        stages: of the network.
        image: the network's input [B, 3, H, W].
        taps: names or numbers of stages.

    Yields:
        a function that returns, after the forward pass, the features after the stages `taps`. It returns None where
        some cannot be captured (a stage is no module or did not run) or would differ in another batch.

    Raises:
        OptionError: there is no such stage.
    """
    wanted = named_taps(stages, taps)
    features: dict[str, Tensor] = {}

    def captured() -> Features | None:
        return tuple(features[name] for name in wanted) if features.keys() == set(wanted) else None

    def hook_for(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            features[name] = output

        return hook

    last = max((index for index, stage in enumerate(stages) if stage.name in wanted), default=-1)
    layers = [stage.layer for stage in stages[: last + 1]]
    handles = []
    if all(isinstance(layer, nn.Module) and is_batch_independent(layer) for layer in layers):
        for stage in stages:
            if stage.name == IMAGE and IMAGE in wanted:
                features[IMAGE] = stage.layer(image)
            elif stage.name in wanted and isinstance(stage.layer, nn.Module):
                handles.append(stage.layer.register_forward_hook(hook_for(stage.name)))
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


def tapped_channels(stages: Sequence[Stage], taps: Sequence[Tap]) -> tuple[int, ...]:
    """Return the number of channels after each of the stages `taps`.

    Raises:
        OptionError: there is no such stage.
    """
    channels = {stage.name: stage.channels for stage in stages}
    return tuple(channels[name] for name in named_taps(stages, taps))
