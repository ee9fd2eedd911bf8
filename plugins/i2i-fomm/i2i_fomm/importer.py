"""Checkpoints of AliaksandrSiarohin/first-order-model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.nn.weight_files import load_weight_file

State = dict[str, Tensor]
_SCALES = {5: 0.5, 13: 0.25, 29: 0.125}
"""Scale of an image by the side of the filter that reduces it."""


def fomm_pytorch(path: Path) -> Imported:
    """Convert a checkpoint of the official First Order Motion Model, such as `vox-cpk.pth.tar`.

    Args:
        path: the file. No code in it is run.

    Returns:
        The recipe `fomm_vox_adv` with the sizes of the weights. Sampling aligns corners, as it did in the torch version
        that the released weights were trained with; for weights of a later training set `translator.align_corners` and
        `translator.generator.align_corners` to false.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    loaded = load_weight_file(path)
    if not isinstance(loaded, dict) or not {"generator", "kp_detector"} <= loaded.keys():
        raise CheckpointError(
            f"{path}: expected a checkpoint of the First Order Motion Model with entries generator and kp_detector"
        )
    detector, generator = network_state(loaded, "kp_detector", path), network_state(loaded, "generator", path)
    settings = {f"translator.detector.{k}": v for k, v in _detector_options(detector, path).items()}
    settings["translator.keypoints"] = len(detector["kp.weight"])
    settings |= {f"translator.generator.{k}": v for k, v in _generator_options(generator, path).items()}
    weights = {f"detector.{k}": v for k, v in detector.items()} | {f"generator.{k}": v for k, v in generator.items()}
    untrained: tuple[str, ...] = ()
    if isinstance(loaded.get("discriminator"), dict):
        discriminator = network_state(loaded, "discriminator", path)
        options = _discriminator_options(discriminator, int(generator["final.weight"].shape[0]))
        settings |= {f"translator.discriminator.{k}": v for k, v in options.items()}
        weights |= {f"discriminator.{k}": v for k, v in discriminator.items()}
    else:
        untrained = ("discriminator",)
    epoch = loaded.get("epoch")
    notes = (f"the checkpoint is of epoch {epoch}",) if isinstance(epoch, int) else ()
    return Imported(
        "fomm_vox_adv",
        settings,
        weights,
        f"First Order Motion Model, {settings['translator.keypoints']} keypoints",
        untrained=untrained,
        notes=notes,
    )


def network_state(loaded: dict[str, Any], name: str, path: Path) -> State:
    """Return a network's state dict with i2i's names for spectral norm, and without the counters of batch norm."""
    state = loaded[name]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: expected {name} to be a state dict of tensors")
    renamed = {}
    for key, value in state.items():
        key = key.removeprefix("module.")
        key = key.removesuffix("_orig") if key.endswith("weight_orig") else key
        renamed[re.sub(r"\.weight_([uv])$", r".\1", key)] = value
    return renamed


def _count(state: State, pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in state)


def _scale(state: State, prefix: str) -> float:
    weight = state.get(f"{prefix}down.weight")
    return 1.0 if weight is None else _SCALES.get(weight.shape[-1], 0.25)


def _widths(state: State, prefix: str) -> list[int]:
    blocks = _count(state, re.escape(prefix) + r"\d+\.conv\.weight")
    return [int(state[f"{prefix}{i}.conv.weight"].shape[0]) for i in range(blocks)]


def _detector_options(state: State, path: Path) -> dict[str, Any]:
    try:
        down = _widths(state, "predictor.encoder.down_blocks.")
        up = _widths(state, "predictor.decoder.up_blocks.")
        maps = len(state["jacobian.weight"]) if "jacobian.weight" in state else 0
        return {
            "channels": up[-1],
            "max_channels": max(down),
            "blocks": len(down),
            "scale": _scale(state, ""),
            "jacobians": maps > 0,
            "single_jacobian": maps == 4 < 4 * len(state["kp.weight"]),
        }
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"{path}: kp_detector lacks the layers of a keypoint detector ({error})") from error


def _generator_options(state: State, path: Path) -> dict[str, Any]:
    motion = "dense_motion_network."
    try:
        down, up = _widths(state, "down_blocks."), _widths(state, f"{motion}hourglass.decoder.up_blocks.")
        motion_down = _widths(state, f"{motion}hourglass.encoder.down_blocks.")
        return {
            "channels": len(state["first.conv.weight"]),
            "max_channels": max(down),
            "down_blocks": len(down),
            "blocks": _count(state, r"bottleneck\.r\d+\.conv1\.weight"),
            "motion_channels": up[-1],
            "motion_max_channels": max(motion_down),
            "motion_blocks": len(motion_down),
            "motion_scale": _scale(state, motion),
            "occlusion": f"{motion}occlusion.weight" in state,
        }
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"{path}: generator lacks the layers of a motion generator ({error})") from error


def _discriminator_options(state: State, channels: int) -> dict[str, Any]:
    names = sorted({key.split(".")[1] for key in state}, key=lambda name: -float(name.replace("-", ".")))
    widths = _widths(state, f"discs.{names[0]}.down_blocks.")
    first = state[f"discs.{names[0]}.down_blocks.0.conv.weight"]
    return {
        "channels": widths[0] // 2,
        "max_channels": max(widths),
        "blocks": len(widths),
        "scales": [float(name.replace("-", ".")) for name in names],
        "spectral_norm": f"discs.{names[0]}.conv.u" in state,
        "sees_keypoints": first.shape[1] != channels,
    }
