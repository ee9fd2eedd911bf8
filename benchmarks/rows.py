"""What the benchmarks measure: recipes by a readable name, and the clock and memory of this process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe


def ugatit(channels: int) -> dict[str, Any]:
    names = ("generator", "discriminators.global_", "discriminators.local")
    return {f"translator.{name}.channels": channels for name in names}


ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "U-GAT-IT light, 256 px, 64 channels": ("ugatit_light", {"data.size": 256}),
    "U-GAT-IT light, 128 px, 32 channels": ("ugatit_light", {"data.size": 128, **ugatit(32)}),
    "U-GAT-IT full, 96 px, 16 channels": ("ugatit", {"data.size": 96, **ugatit(16)}),
    "CycleGAN, 256 px, 64 channels": ("cyclegan", {"data.size": 256}),
    "CUT, 256 px, 64 channels": ("cut", {"data.size": 256}),
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"train.reference": True},
    "fast": {},
    "bf16": {"train.precision": "bf16"},
    "compiled": {"train.compile": True},
    "checkpointing": {"train.gradient_checkpointing": True},
}


def chosen(parts: list[str]) -> list[str]:
    """The rows of which a part of the name was given; all without."""
    return [row for row in ROWS if not parts or any(part in row for part in parts)]


def stepper(row: str, kind: str) -> Stepper:
    recipe, settings = ROWS[row]
    return Stepper(Recipe.read(recipe, {**settings, **KINDS[kind], "data.type": "shapes"}))


def images(size: int) -> dict[str, Tensor]:
    """A batch of one random image of each domain."""
    draws = torch.Generator().manual_seed(0)
    return {domain: torch.rand(1, 3, size, size, generator=draws) * 2 - 1 for domain in "ab"}


def timed(one: Stepper) -> float:
    """CPU seconds of one step."""
    began = time.process_time()
    one.step(images(min(one.recipe.image_size)))
    return time.process_time() - began


def take_two(row: str, kind: str) -> None:
    """Two steps: the second has the optimizer's state, too."""
    one = stepper(row, kind)
    for _ in range(2):
        one.step(images(min(one.recipe.image_size)))


def import_all(row: str) -> None:
    """Import what a first step would, for whichever code: the compiler that torch's optimizers import, and i2i."""
    import torch._dynamo

    recipe, settings = ROWS[row]
    Recipe.read(recipe, {**settings, "data.type": "shapes"})
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


def forget_peak() -> float:
    """Resident MiB now, and reset the peak; Linux."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def resident(what: str) -> float:
    """A line of this process's status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 2**10 for line in lines if line.startswith(f"{what}:"))
