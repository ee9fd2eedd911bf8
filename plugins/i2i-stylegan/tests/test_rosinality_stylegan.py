"""Checkpoints of StyleGAN (1) in rosinality's layout, against a plain statement of what that code computes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import i2i
from i2i.cli import run as command

WIDTHS = (12, 12, 6, 3)
FUSED = 3
"""Number of the first block whose upsampling and convolution are one."""


def checkpoint(trained: int, color: int = 3) -> dict[str, Tensor]:
    """A state dict of four blocks, of which the noise of the first ones was trained."""
    draws = torch.Generator().manual_seed(1)
    state: dict[str, Tensor] = {}

    def put(name: str, *shape: int) -> None:
        state[name] = torch.randn(shape, generator=draws)

    for index in (1, 3, 5):
        put(f"style.{index}.linear.weight_orig", 8, 8), put(f"style.{index}.linear.bias", 8)
    for block, width in enumerate(WIDTHS):
        name = f"generator.progression.{block}"
        inputs = WIDTHS[max(block - 1, 0)]
        if not block:
            put(f"{name}.conv1.input", 1, width, 4, 4)
        elif block < FUSED:
            put(f"{name}.conv1.1.conv.weight_orig", width, inputs, 3, 3), put(f"{name}.conv1.1.conv.bias", width)
        else:
            put(f"{name}.conv1.0.weight", inputs, width, 3, 3), put(f"{name}.conv1.0.bias", width)
        put(f"{name}.conv2.conv.weight_orig", width, width, 3, 3), put(f"{name}.conv2.conv.bias", width)
        for part in (1, 2):
            put(f"{name}.noise{part}.weight_orig", 1, width, 1, 1)
            put(f"{name}.adain{part}.style.linear.weight_orig", 2 * width, 8)
            put(f"{name}.adain{part}.style.linear.bias", 2 * width)
            if block >= trained:
                state[f"{name}.noise{part}.weight_orig"].zero_()
        put(f"generator.to_rgb.{block}.conv.weight_orig", color, width, 1, 1)
        put(f"generator.to_rgb.{block}.conv.bias", color)
    return state


def official_image(state: dict[str, Tensor], z: Tensor, noise: list[Tensor], blocks: int) -> Tensor:
    """Compute images [B, C, S, S] for codes and one noise map for each block."""
    state = {name: value.double() for name, value in state.items()}

    def weight(name: str) -> Tensor:
        value = state[f"{name}.weight_orig"]
        return value * math.sqrt(2 / value[0].numel())

    w = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for index in (1, 3, 5):
        w = F.leaky_relu(F.linear(w, weight(f"style.{index}.linear"), state[f"style.{index}.linear.bias"]), 0.2)
    blur = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    for block in range(blocks):
        name = f"generator.progression.{block}"
        if not block:
            x = state[f"{name}.conv1.input"].expand(len(z), -1, -1, -1)
        else:
            if block < FUSED:
                doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
                x = F.conv2d(doubled, weight(f"{name}.conv1.1.conv"), state[f"{name}.conv1.1.conv.bias"], padding=1)
            else:
                kernel = state[f"{name}.conv1.0.weight"]
                padded = F.pad(kernel * math.sqrt(2 / (9 * kernel.shape[0])), (1, 1, 1, 1))
                kernel = F.avg_pool2d(padded, 2, 1)
                x = F.conv_transpose2d(x, kernel, state[f"{name}.conv1.0.bias"], stride=2, padding=1)
            kernel = torch.outer(blur, blur).expand(x.shape[1], 1, 3, 3)
            x = F.conv2d(x, kernel, padding=1, groups=x.shape[1])
        for part in (1, 2):
            if part == 2:
                x = F.conv2d(x, weight(f"{name}.conv2.conv"), state[f"{name}.conv2.conv.bias"], padding=1)
            strength = state[f"{name}.noise{part}.weight_orig"] * math.sqrt(2 / x.shape[1])
            x = F.instance_norm(F.leaky_relu(x + strength * noise[block], 0.2), eps=1e-5)
            style = f"{name}.adain{part}.style.linear"
            scale, shift = F.linear(w, weight(style), state[f"{style}.bias"])[:, :, None, None].chunk(2, 1)
            x = scale * x + shift
    last = f"generator.to_rgb.{blocks - 1}.conv"
    return F.conv2d(x, weight(last), state[f"{last}.bias"])


@pytest.mark.parametrize(("trained", "size", "color"), [(3, 16, 1), (4, 32, 3)])
def test_an_imported_generator_computes_the_same(trained: int, size: int, color: int, tmp_path: Path) -> None:
    state = checkpoint(trained, color)
    content = {"g_running": state, "generator": {}, "g_optimizer": {"state": {}, "param_groups": []}}
    torch.save(content if trained == 3 else state, tmp_path / "train_step-4.model")
    arguments = ["import", "stylegan-rosinality", str(tmp_path / "train_step-4.model")]
    assert command([*arguments, "--output", str(tmp_path / "run")]) == 0
    loaded: Any = i2i.load(tmp_path / "run", device="cpu")
    generator = loaded.translator.generator.double()
    z = torch.randn(2, 8, dtype=torch.float64)
    maps = generator.synthesis.epilogues
    noise = [maps[2 * block].noise_const for block in range(trained)]
    found = generator(z, noise="const")
    assert found.shape == (2, color, size, size)
    torch.testing.assert_close(found, official_image(state, z, noise, trained), rtol=0, atol=1e-5)


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = checkpoint(4)
    del state["generator.progression.2.conv2.conv.weight_orig"]
    for content, message in ((state, "the generator lacks generator.progression.2.conv2"), ({}, "with the generator")):
        torch.save(content, tmp_path / "net.model")
        assert command(["import", "stylegan-rosinality", str(tmp_path / "net.model"), "--output", str(tmp_path)]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
