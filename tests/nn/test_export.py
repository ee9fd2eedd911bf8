"""Every generator, decoder and discriminator goes through torch.export on the reference path, for dynamic sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

from i2i.builtin import COMPONENTS
from i2i.core import kinds
from i2i.core.registry import Kind
from i2i.methods.assembly import build
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.recipe.recipe import Recipe

SIZE = 32
LATENT = {"channels": 4, "blocks": 1}
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "generator": {
        "resnet": {"channels": 4, "blocks": 1, "dropout": 0.5, "upsample": "blur", "down": "blur"},
        "resnet_adalin": {"channels": 4, "blocks": 1, "light": True},
        "stylegan2_resnet": {"channels": 4, "blocks": 1},
        "unet": {"channels": 4, "levels": 3, "dropout_at_inference": False},
        "shared_latent": LATENT,
        "content_style": {**LATENT, "mlp_channels": 8, "style_downsamplings": 3},
    },
    "decoder": {"adalin_decoder": {"channels": 4, "blocks": 1, "light": True}},
    "discriminator": {
        "multiscale": {"channels": 4, "layers": 3, "scales": 2},
        "patch": {"channels": 4, "layers": 4, "attention": kinds.ATTENTION("cam"), "spectral_norm": True},
        "encoder_patch": {"channels": 4, "layers": 5, "deeper": 1},
        "pixel": {"channels": 4},
        "stylegan2": {"channels": 4, "max_channels": 8},
    },
}
FIXED: dict[str, dict[str, dict[str, Any]]] = {
    "generator": {"resnet_adalin": {"channels": 4, "blocks": 1}},
    "decoder": {"adalin_decoder": {"channels": 4, "blocks": 1}},
}
"""Full networks, which are built for one size."""
CONDITIONED = {"label_concat", "projection_patch"}
"""Networks that take a condition as well as an image."""
WRAPPERS = {"augmented", "projected"}
"""Discriminators around others, or around a pretrained extractor, for training alone."""


class Outputs(nn.Module):
    """A network whose outputs are plain tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        output: Any = self.network(x)
        named = {**output.logits} if hasattr(output, "logits") else {"image": output.image, "cam": output.cam}
        return tuple(value for value in (*named.values(), output.heatmap) if value is not None)


def test_every_network_is_here() -> None:
    for kind in (kinds.GENERATOR, kinds.DECODER, kinds.DISCRIMINATOR):
        assert set(OPTIONS[kind.name]) == set(COMPONENTS[kind]) - CONDITIONED - WRAPPERS


QUICK = ("resnet", "resnet_adalin", "content_style")
"""The others take 20 s together."""


def networks(table: dict[str, dict[str, dict[str, Any]]]) -> Iterator[Any]:
    for kind, named in table.items():
        for name, options in named.items():
            marks = () if name in QUICK and table is OPTIONS else pytest.mark.slow
            yield pytest.param(kinds.KINDS[kind], name, options, id=name, marks=marks)


def exported(kind: Kind[Any], name: str, options: dict[str, Any], *shapes: tuple[int, int, int]) -> None:
    """Export a network for the first batch and size, and compare it with itself for the others."""
    torch.manual_seed(0)
    channels = 3
    if kind == kinds.DECODER:
        channels = 8
        network = kind(name, **options)(channels, image_size=SIZE)
    else:
        network = kind(name, **options)(image_size=SIZE)
    module = Outputs(network).eval()
    (batch, height, width), *others = shapes
    dynamic = dict.fromkeys((0,) if len({shape[1:] for shape in shapes}) == 1 else (0, 2, 3), Dim.DYNAMIC)
    with disable_optimizations(), torch.no_grad():
        program = export(module, (torch.randn(batch, channels, height, width),), dynamic_shapes=(dynamic,))
        for batch, height, width in others:
            x = torch.randn(batch, channels, height, width)
            for got, expected in zip(program.module()(x), module(x), strict=True):
                torch.testing.assert_close(got, expected)
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    foreign = {name for name in called if not name.startswith(("aten.", "<built-in function", "sym_", "math."))}
    assert not foreign


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "name", "options"), list(networks(OPTIONS)))
def test_dynamic_batch_and_size(kind: Kind[Any], name: str, options: dict[str, Any]) -> None:
    if name == "stylegan2":  # one size, and batches that divide by the group of the minibatch deviation
        exported(kind, name, options, (8, SIZE, SIZE), (12, SIZE, SIZE))
    elif kind == kinds.DECODER:
        exported(kind, name, options, (4, 8, 16), (1, 12, 8), (3, 5, 9))
    else:
        exported(kind, name, options, (4, 32, 64), (1, 48, 40), (3, 64, 32))


@pytest.mark.parametrize(("kind", "name", "options"), list(networks(FIXED)))
def test_dynamic_batch_of_networks_of_one_size(kind: Kind[Any], name: str, options: dict[str, Any]) -> None:
    side = SIZE // 4 if kind == kinds.DECODER else SIZE
    exported(kind, name, options, (4, side, side), (1, side, side), (3, side, side))


class Translation(nn.Module):
    """A whole translator, its discriminators and losses included, as a function of the image."""

    def __init__(self, recipe: str, settings: dict[str, Any]) -> None:
        super().__init__()
        self.translator = build(Recipe.read(recipe, settings))

    def forward(self, x: Tensor) -> Tensor:
        return self.translator.translate(x, "b").image


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("ugatit_small", {"translator.generator.channels": 4}),
        ("ugatit_tf_light", {"translator.generator.channels": 4, "translator.discriminators.*.channels": 4}),
        pytest.param("nicegan_small", {"translator.generator.light": True}, marks=pytest.mark.slow),
    ],
)
def test_whole_translators(recipe: str, settings: dict[str, Any]) -> None:
    module = Translation(recipe, settings).eval()
    with disable_optimizations(), torch.no_grad():
        sizes = dict.fromkeys((0, 2, 3), Dim.DYNAMIC)
        program = export(module, (torch.randn(2, 3, 48, 64),), dynamic_shapes=(sizes,))
        x = torch.randn(3, 3, 64, 32)
        torch.testing.assert_close(program.module()(x), module(x))
