"""Gradient checkpointing: the same steps and gradients in less memory, whatever layers draw random numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.builtin import COMPONENTS
from i2i.core import kinds
from i2i.core.plugins import Plugins
from i2i.core.signature import options
from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build
from i2i.methods.networks import trained_networks
from i2i.methods.recomputing import recompute_blocks
from i2i.nn.functional.optimizations import disable_optimizations, optimizations_enabled
from i2i.nn.generators.unet import Dropout
from i2i.nn.layers.stylegan2 import Noise
from i2i.recipe.recipe import Recipe

SMALL: dict[str, Any] = {
    "data.type": "shapes",
    "data.size": 32,
    "train.precision": "fp64",
    "translator.generator.channels": 4,
    "translator.generator.dropout": 0.5,
    "translator.generator.blocks": 2,
    "translator.discriminators.local.channels": 4,
}


def stepped(recomputed: bool) -> tuple[list[dict[str, Tensor]], dict[str, Tensor], int]:
    """Terms of two steps, the weights after them, and the bytes kept for the backward passes."""
    stepper = Stepper(Recipe.read("cyclegan", {**SMALL, "train.gradient_checkpointing": recomputed}))
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    draws = torch.Generator().manual_seed(1)
    terms = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for _ in range(2):
            images = {domain: torch.rand(1, 3, 32, 32, generator=draws) for domain in "ab"}
            terms.append(stepper.step(images))
    return terms, stepper.translator.state_dict(), kept


def test_the_same_bits_with_less_memory() -> None:
    terms, weights, kept = stepped(False)
    again, same_weights, less = stepped(True)
    assert terms == again
    assert weights.keys() == same_weights.keys()
    assert all(torch.equal(value, same_weights[name]) for name, value in weights.items())
    assert less < 0.7 * kept


def test_blocks_that_a_forward_changes_are_left_alone() -> None:
    normed = build(Recipe.read("ugatit_small", {"translator.generator.blocks": 1}))
    # Each generator: stem, two halvings, a block before the attention and one after it, two doublings.
    assert sum(map(recompute_blocks, trained_networks(normed))) == 2 * 7
    batch_normed = build(Recipe.read("pix2pix_small"))
    # The discriminator's first, the only one without batch norm.
    assert sum(map(recompute_blocks, trained_networks(batch_normed))) == 1


SMALLEST: dict[str, Any] = {"channels": 8, "blocks": 1, "levels": 4, "light": True, "mlp_channels": 8}


def generators() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every generator of the core with every norm that it takes, with and without what it draws."""
    registry = Plugins({}).registry
    for name in (name for name in COMPONENTS[kinds.GENERATOR] if name != "label_concat"):  # it wraps another one
        declared = options(registry.get(kinds.GENERATOR, name).load())
        smallest = {option: value for option, value in SMALLEST.items() if option in declared}
        norms = [{"norm": kinds.NORM(norm)} for norm in COMPONENTS[kinds.NORM]] if "norm" in declared else [{}]
        draws: list[dict[str, Any]] = [{}]
        draws += [{option: value} for option, value in (("dropout", 0.5), ("noise", True)) if option in declared]
        for norm in norms:
            for drawn in draws:
                yield name, {**smallest, **_grouped(norm), **drawn}


def _grouped(norm: dict[str, Any]) -> dict[str, Any]:
    return {"norm": kinds.NORM("gn", groups=4)} if norm.get("norm") == kinds.NORM("gn") else norm


def label(value: object) -> str:
    if isinstance(value, dict):
        return "-".join(getattr(v, "name", f"{k}={v}") for k, v in value.items() if k in ("norm", "dropout", "noise"))
    return str(value)


def gradients(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """The image and the gradients of a network's parameters, with random numbers of one seed."""
    torch.manual_seed(5)
    made: Any = network(image)
    y: Tensor = getattr(made, "image", made)
    network.zero_grad()
    torch.autograd.backward((y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum())
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {"image": y.detach(), **found}


def assert_checkpointing_changes_nothing(network: nn.Module, image: Tensor) -> int:
    recomputed = deepcopy(network)
    blocks = recompute_blocks(recomputed)
    expected, got = gradients(network, image), gradients(recomputed, image)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(value, got[name]), name
    return blocks


@pytest.mark.thorough
@pytest.mark.parametrize(("generator", "settings"), list(generators()), ids=label)
def test_every_generator_has_the_same_gradients(generator: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network: Any = kinds.GENERATOR(generator, **settings)(image_size=32)
    for part in network.modules():
        if isinstance(part, Noise):
            nn.init.ones_(part.weight)  # it starts at 0, where noise changes nothing
    assert_checkpointing_changes_nothing(network.double(), torch.rand(2, 3, 32, 32, dtype=torch.float64))


class Undeclared(nn.Module):
    """A stranger's layer that draws and does not say so."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5) + torch.randn_like(x)


class Block(nn.Module):
    recomputable: ClassVar[bool] = True

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.conv, self.layer = nn.Conv2d(3, 3, 3), layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(self.conv(x))
        return y.square()


@pytest.mark.parametrize(
    "layer",
    [lambda: Dropout(0.5), Noise, nn.Dropout2d, nn.AlphaDropout, nn.RReLU, Undeclared],
    ids=["Dropout", "Noise", "Dropout2d", "AlphaDropout", "RReLU", "undeclared"],
)
def test_any_layer_that_draws_is_restored(layer: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    block = Block(layer())
    if isinstance(block.layer, Noise):
        nn.init.ones_(block.layer.weight)
    assert assert_checkpointing_changes_nothing(nn.Sequential(block, deepcopy(block)), torch.rand(2, 3, 16, 16)) == 2


def test_blocks_are_recomputed_on_the_path_of_their_forward() -> None:
    """A GPU's backward pass runs in a thread of its own, which knows nothing of the forward's context."""
    seen: list[bool] = []

    class Spy(nn.Module):
        recomputable: ClassVar[bool] = True

        def forward(self, x: Tensor) -> Tensor:
            seen.append(optimizations_enabled())
            return x.exp()

    block = Spy()
    recompute_blocks(block)
    with disable_optimizations():
        y = block(torch.ones(1, requires_grad=True))
    thread = threading.Thread(target=y.backward)
    thread.start()
    thread.join()
    assert seen == [False, False]
