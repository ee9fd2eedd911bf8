"""Checkpoints of AliaksandrSiarohin/first-order-model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.methods.weights.official_files import Report, State, networks_in
from i2i.methods.weights.weight_map import SPECTRAL

NETWORKS = ("kp_detector", "generator", "discriminator")
OURS = {"kp_detector": "detector"}
"""Submodules of the translator that the official code calls otherwise."""


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
    report = Report()
    networks, content = networks_in(path, NETWORKS, report, "the First Order Motion Model", NETWORKS[:2], used="epoch")
    states = {name: our_names(state) for name, state in networks.items()}
    detector, generator = states["kp_detector"], states["generator"]
    settings = {f"translator.detector.{k}": v for k, v in _detector_options(detector, path).items()}
    settings["translator.keypoints"] = len(detector["kp.weight"])
    settings |= {f"translator.generator.{k}": v for k, v in _generator_options(generator, path).items()}
    if "discriminator" in states:
        options = _discriminator_options(states["discriminator"], int(generator["final.weight"].shape[0]))
        settings |= {f"translator.discriminator.{k}": v for k, v in options.items()}
    if isinstance(epoch := content.get("epoch"), int):
        report.lines.append(f"the checkpoint is of epoch {epoch}")
    report.taken = {name: len(state) for name, state in states.items()}
    untrained = () if "discriminator" in states else ("discriminator",)
    return Imported(
        "fomm_vox_adv",
        settings,
        {f"{OURS.get(name, name)}.{key}": value for name, state in states.items() for key, value in state.items()},
        f"First Order Motion Model, {settings['translator.keypoints']} keypoints",
        untrained=untrained,
        notes=report.notes(untrained),
    )


def our_names(state: State) -> dict[str, Tensor]:
    """Return a network's state dict with i2i's names for spectral norm; all other names are the official ones."""
    split = {name: name.rpartition(".") for name in state}
    return {f"{layer}{dot}{SPECTRAL.get(leaf, leaf)}": state[name] for name, (layer, dot, leaf) in split.items()}


def _count(state: State, pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in state)


def _scale(state: State, prefix: str) -> float:
    """Return the scale of the images that a network sees, from the side of the filter that reduces them."""
    weight = state.get(f"{prefix}down.weight")
    return 1.0 if weight is None else 1 / (1 + round((weight.shape[-1] - 1) / 4))


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
