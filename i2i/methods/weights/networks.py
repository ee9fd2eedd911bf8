"""Finding an official checkpoint's networks, and counting in their states."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from i2i.errors import CheckpointError
from i2i.nn.foreign import few

State = Mapping[str, Tensor]


def networks_in(path: Path, loaded: object, names: Iterable[str], method: str) -> dict[str, dict[str, Tensor]]:
    """The state dicts of the networks that a checkpoint must hold.

    Args:
        names: of the networks, as the checkpoint calls them.
        method: whose networks they are, for messages.

    Raises:
        CheckpointError: they are not there; says what was found.
    """
    wanted = list(names)
    expected = f"expected {method}'s networks {', '.join(wanted)}"
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: {expected}, found a {type(loaded).__name__}")
    if loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path}: {expected}, found the plain state of one network: {few(loaded)}")
    if missing := [network for network in wanted if network not in loaded]:
        raise CheckpointError(f"{path}: {expected}, found {few(loaded)}; missing: {', '.join(missing)}")
    for network in wanted:
        state = loaded[network]
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise CheckpointError(f"{path}: expected {network} to be a state dict, found a {type(state).__name__}")
    return {network: dict(loaded[network]) for network in wanted}


def count(state: State, pattern: str) -> int:
    """How many names a pattern matches whole."""
    return sum(re.fullmatch(pattern, str(name)) is not None for name in state)


def features_and_pixels(network: str, weight: Tensor) -> tuple[int, int]:
    """Of the first linear layer for gamma and beta: [C, C] is light, [C, C·(S/4)²] full.

    Raises:
        CheckpointError: it is neither.
    """
    if weight.ndim == 2 and weight.shape[0] and weight.shape[0] % 4 == 0:
        features = weight.shape[0]
        side = math.isqrt(weight.shape[1] // features)
        if side and weight.shape[1] == features * side**2:
            return features, side**2
    raise CheckpointError(
        f"{network}.FC.0.weight has shape {list(weight.shape)}; expected [C, C] of a light generator or [C, C·n²] of a "
        f"full one, with C a multiple of 4"
    )
