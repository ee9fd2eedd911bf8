"""Components that were written for another i2i, or for none: a message that names them, and no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from i2i.core import kinds
from i2i.core.plugins import Plugins
from i2i.core.registry import Registry
from i2i.data.base import ImageDataset
from i2i.engine.trainer import train
from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe


class PlainGenerator(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.generate = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.generate(image)


class PlainDiscriminator(PlainGenerator):
    pass


class NoPreview(ImageDataset):
    def __init__(self, size: int = 32, seed: int = 0) -> None:
        self.size = size

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return {"A": torch.zeros(3, 32, 32)}


class OtherKeys(NoPreview):
    def preview(self, count: int) -> dict[str, Tensor]:
        return {}


class NoModule:
    def forward(self, fake: Tensor) -> Tensor:
        return fake.mean()


class WholeImage(nn.Module):
    def forward(self, fake: Tensor) -> Tensor:
        return fake


class Nothing(nn.Module):
    def forward(self, fake: Tensor) -> None:
        return None


class NotCalled:
    def __init__(self, steps: int = 1) -> None:
        pass


class Words(NotCalled):
    def __call__(self, step: int) -> str:
        return "x"


class NoOptimizer:
    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        pass


KINDS: dict[Any, list[Any]] = {
    kinds.GENERATOR: [PlainGenerator],
    kinds.DISCRIMINATOR: [PlainDiscriminator],
    kinds.DATASET: [NoPreview, OtherKeys],
    kinds.LOSS: [NoModule, WholeImage, Nothing],
    kinds.SCHEDULE: [NotCalled, Words],
    kinds.OPTIMIZER: [NoOptimizer],
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Plugins({}).registry
    for kind, components in KINDS.items():
        for component in components:
            registry.add(kind, component.__name__, component, plugin="strange")
    return registry


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("table", "component", "said"),
    [
        ("translator.generator", PlainGenerator, "a generator returns i2i.GeneratorOutput(image), got a tensor"),
        (
            "translator.discriminators.local",
            PlainDiscriminator,
            "a discriminator returns i2i.DiscriminatorOutput({'patch': logits}), got a tensor",
        ),
        ("data", NoPreview, "dataset 'NoPreview' has no preview, which i2i.core.contracts.Dataset asks for"),
        ("data", OtherKeys, "OtherKeys): sample 0: gives A; the translator needs a, b too. Checkpoints written so far"),
        ("losses.cycle", NoModule, "loss 'NoModule': expected a torch.nn.Module, got NoModule"),
        ("losses.cycle", WholeImage, "losses.cycle: forward returns a tensor [4, 3, 32, 32], expected a tensor with"),
        ("losses.cycle", Nothing, "losses.cycle: forward returns NoneType, expected a tensor with one element"),
        ("schedule", NotCalled, "schedule 'NotCalled' has no __call__, which i2i.core.contracts.Schedule asks for"),
        ("schedule", Words, "schedule: 'Words': expected a number for each step, got 'x' for step 0"),
        ("optimizers.generator", NoOptimizer, "expected a torch.optim.Optimizer, got NoOptimizer"),
    ],
)
def test_a_message_names_it(table: str, component: Any, said: str, registry: Registry, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "translator.generator": {"type": "resnet", "channels": 4, "blocks": 1},
        "translator.discriminators.local": {"type": "patch", "channels": 4, "layers": 3},
        "data": {"type": "shapes", "size": 32},
        "train.steps": 1,
        "train.workers": 0,
        "train.sample_every": 0,
        table: {"type": component.__name__},
    }
    with pytest.raises(I2IError) as caught:
        train(Recipe.read("cyclegan_small", settings, registry), tmp_path / "run")
    assert said in str(caught.value)
