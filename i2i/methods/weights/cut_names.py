"""Official names of the tensors of CUT's networks, and what their shapes tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn

from i2i.errors import CheckpointError
from i2i.nn.discriminators.patch import Patch
from i2i.nn.foreign import few
from i2i.nn.functional.resampling import DOUBLING, HALVING, blur_kernel
from i2i.nn.generators.resnet import Resnet
from i2i.nn.layers.convolution import BlurDown, BlurUp, ConvBlock
from i2i.nn.layers.projection import PatchHeads

State = Mapping[str, Tensor]


@dataclass
class Names:
    """The tensors of one network.

    Args:
        tensors: official name: our name.
        blurs: official name: the filter, which the official code keeps in its state and we do not.
    """

    tensors: dict[str, str] = field(default_factory=dict)
    blurs: dict[str, Tensor] = field(default_factory=dict)

    def add(self, official: str, ours: str) -> None:
        """A layer with weight and bias."""
        self.tensors |= {f"{official}.{part}": f"{ours}.{part}" for part in ("weight", "bias")}

    def to_ours(self, state: State, expected: State) -> dict[str, Tensor]:
        """An official state dict as ours.

        Args:
            expected: our state, for the shapes.

        Raises:
            CheckpointError: a name or a shape that does not belong there.
        """
        known = self.tensors.keys() | self.blurs.keys()
        for problem, found in (("lacks", known - state.keys()), ("has unknown", state.keys() - known)):
            if found:
                raise CheckpointError(f"{problem} {few(found)}; expected the names of the official CUT")
        for official, shape in self._shapes(expected).items():
            if state[official].shape != shape:
                got = list(state[official].shape)
                raise CheckpointError(f"{official} has shape {got}; the other weights ask for {list(shape)}")
        for official, kernel in self.blurs.items():
            if not torch.equal(state[official], kernel.to(state[official].dtype)):
                raise CheckpointError(f"{official} is another filter than the official one")
        return {ours: state[official] for official, ours in self.tensors.items()}

    def to_official(self, state: State) -> dict[str, Tensor]:
        """Our state dict as the official one."""
        dtype = next((value.dtype for value in state.values()), torch.float32)
        tensors = {official: state[ours] for official, ours in self.tensors.items()}
        return tensors | {official: kernel.to(dtype) for official, kernel in self.blurs.items()}

    def _shapes(self, expected: State) -> dict[str, torch.Size]:
        tensors = {official: expected[ours].shape for official, ours in self.tensors.items()}
        return tensors | {official: kernel.shape for official, kernel in self.blurs.items()}


def names_of(module: nn.Module) -> Names:
    """The names of a generator's, discriminator's or the heads' tensors."""
    if isinstance(module, Resnet):
        return _generator(module)
    if isinstance(module, Patch):
        return _discriminator(module)
    assert isinstance(module, PatchHeads)
    names = Names()
    for i in range(len(module.mlps or ())):
        names.add(f"mlp_{i}.0", f"mlps.{i}.first")
        names.add(f"mlp_{i}.2", f"mlps.{i}.second")
    return names


def generator_options(state: State) -> dict[str, Any]:
    """Options of `resnet` that a generator's shapes tell."""
    stem = _needed(state, "model.1.weight", "the generator of CUT")
    blocks = sorted({int(found[1]) for name in state if (found := re.match(r"model\.(\d+)\.conv_block\.", name))})
    if not blocks:
        _refuse(state, "the generator of CUT")
    blurs = [int(name.split(".")[1]) for name in state if re.fullmatch(r"model\.\d+\.filt", name)]
    dropout = f"model.{blocks[0]}.conv_block.6.weight" in state  # a layer of its own, which moves the next convolution
    return {
        "channels": stem.shape[0],
        "blocks": len(blocks),
        "down": "blur" if any(index < blocks[0] for index in blurs) else "strided",
        "upsample": "blur" if any(index > blocks[-1] for index in blurs) else "transposed",
        **({"dropout": 0.5} if dropout else {}),
    }


def discriminator_options(state: State) -> dict[str, Any]:
    """Options of `patch` that a discriminator's shapes tell."""
    first = _needed(state, "model.0.weight", "the discriminator of CUT")
    return {
        "channels": first.shape[0],
        "layers": sum(value.ndim == 4 and name.endswith(".weight") for name, value in state.items()),
        "down": "blur" if any(name.endswith(".filt") for name in state) else "strided",
    }


def head_inputs(state: State) -> tuple[int, ...]:
    """Channels of the features that the heads take."""
    count = sum(re.fullmatch(r"mlp_\d+\.0\.weight", name) is not None for name in state)
    return tuple(_needed(state, f"mlp_{i}.0.weight", "the heads of CUT").shape[1] for i in range(count))


def head_width(state: State) -> int | None:
    """Length of the vectors that the heads give; None for the official `sample`, which learns nothing."""
    return _needed(state, "mlp_0.0.weight", "the heads of CUT").shape[0] if state else None


def _generator(module: Resnet) -> Names:
    names = Names()
    stages = module.stages()
    second = 5 if module.dropout == 0 else 6
    for number, stage in enumerate(stages):
        official = f"model.{number}"
        if isinstance(stage.layer, BlurDown | BlurUp):
            names.blurs[f"{official}.filt"] = _filter(stage.layer, stage.channels)
        elif stage.name.startswith("blocks."):
            names.add(f"{official}.conv_block.1", f"encoder.{stage.name}.first.conv")
            names.add(f"{official}.conv_block.{second}", f"encoder.{stage.name}.second.conv")
        elif stage.name.endswith(".conv"):
            part = "image_decoder" if stage.name.startswith("up.") else "encoder"
            names.add(official, f"{part}.{stage.name}")
    names.add(f"model.{len(stages) + 1}", "image_decoder.head")  # after a layer that pads
    return names


def _discriminator(module: Patch) -> Names:
    names = Names()
    blocks = [cast(ConvBlock, block) for block in module.blocks]
    stages = [stage for i, block in enumerate(blocks) for stage in block.stages(f"blocks.{i}")]
    for number, stage in enumerate(stages):
        if isinstance(stage.layer, BlurDown):
            names.blurs[f"model.{number}.filt"] = _filter(stage.layer, stage.channels)
        elif stage.name.endswith(".conv"):
            names.add(f"model.{number}", stage.name)
    names.add(f"model.{len(stages)}", "final")
    return names


def _filter(layer: nn.Module, channels: int) -> Tensor:
    kernel = 4 * blur_kernel(DOUBLING) if isinstance(layer, BlurUp) else blur_kernel(HALVING)
    return kernel.expand(channels, 1, -1, -1).clone()


def _needed(state: State, name: str, what: str) -> Tensor:
    if name not in state or state[name].ndim < 2:
        _refuse(state, what)
    return state[name]


def _refuse(state: State, what: str) -> NoReturn:
    raise CheckpointError(f"expected {what}, found {few(state)}")
