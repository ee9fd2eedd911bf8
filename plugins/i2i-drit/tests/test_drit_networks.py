"""The networks: parameter counts of the reference, shapes, gradients, and formulas."""

from __future__ import annotations

import pytest
import torch
from i2i_drit.content_discriminators import ContentDiscriminator, PooledContentDiscriminator
from i2i_drit.decoders import ConcatDecoder, ShapeDecoder, TransformedBlock, concatenate
from i2i_drit.generators import ConcatGenerator, DisentanglingGenerator, ShapeGenerator
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i.errors import OptionError, ShapeError
from i2i.methods.assembly import count_parameters
from i2i.recipe.recipe import Recipe

SMALL = {"channels": 4, "blocks": 1, "decoder_blocks": 1}


@pytest.mark.parametrize(
    ("name", "attribute_encoders", "decoders"),
    [("drit", 2.69, 9.56), ("drit_shape", 5.53, 17.15)],
)
def test_parameter_counts_are_those_of_the_reference(name: str, attribute_encoders: float, decoders: float) -> None:
    """In millions, both domains together, measured on the official modules."""
    counted = {part: round(count / 1e6, 2) for part, count in count_parameters(Recipe.read(name)).items()}
    assert counted == {
        "content_discriminator": 10.68,
        "discriminators": 33.08,  # four of 8.27
        "generator.content_encoder": 9.02,
        "generator.attribute_encoders": attribute_encoders,
        "generator.decoders": decoders,
    }


@pytest.mark.parametrize("kind", [ConcatGenerator, ShapeGenerator])
@pytest.mark.parametrize("size", [(16, 16), (24, 40)])
def test_shapes(kind: type[DisentanglingGenerator], size: tuple[int, int]) -> None:
    generator = kind(**SMALL, attribute_channels=3)
    image = torch.rand(2, 3, *size) * 2 - 1
    content = generator.encode_content(image, "a")
    assert content.shape == (2, 16, size[0] // 4, size[1] // 4)
    attribute = generator.encode_attribute(image, "b")
    assert attribute.mean.shape == (2, 3)
    assert (attribute.log_variance is None) == (kind is ShapeGenerator)
    generated = generator.decode(content, attribute.mean, "b")
    assert generated.shape == image.shape
    assert generated.abs().max() <= 1
    reconstruction = generator(image, "a").image
    assert torch.equal(reconstruction, generator.decode(content, generator.encode_attribute(image, "a").mean, "a"))


@pytest.mark.parametrize("kind", [ConcatGenerator, ShapeGenerator])
def test_a_gradient_reaches_every_parameter(kind: type[DisentanglingGenerator]) -> None:
    generator = kind(**SMALL)
    image = torch.rand(2, 3, 16, 16) * 2 - 1
    for domain in "ab":
        mean, log_variance = generator.encode_attribute(image, domain)
        attribute = mean if log_variance is None else mean + log_variance.exp()
        generator.decode(generator.encode_content(image, domain), attribute, domain).square().mean().backward()
    lacking = [name for name, p in generator.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert lacking == []
    # A bias before a norm without scale and shift cancels; every other parameter counts.
    norms = {name for name, module in generator.named_modules() if getattr(module, "norm", None) is not None}
    idle = [name for name, p in generator.named_parameters() if p.grad is not None and not p.grad.any()]
    assert {name.removesuffix(".conv.bias") for name in idle} <= norms


def test_domains_share_only_the_shared_blocks() -> None:
    generator = ConcatGenerator(**SMALL)
    image = torch.rand(1, 3, 16, 16)
    for part, call in (
        (generator.content_encoder, lambda: generator.encode_content(image, "a")),
        (generator.decoders, lambda: generator.decode(torch.rand(1, 16, 4, 4), torch.rand(1, 8), "a")),
    ):
        generator.zero_grad()
        call().square().sum().backward()
        reached = {name for name, p in part.named_parameters() if p.grad is not None}
        assert {name for name in reached if "shared" in name}
        assert not {name for name in reached if name.startswith(("domains.b", "b."))}
        assert all(p.grad is None for name, p in part.named_parameters() if name.startswith(("domains.b", "b.")))


def test_the_first_convolution_has_no_norm_and_a_slope_of_0_01() -> None:
    stem = ConcatGenerator(**SMALL).content_encoder.domains["a"].stem
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    linear = F.conv2d(F.pad(image, [3] * 4, "reflect"), stem.conv.weight, stem.conv.bias)
    torch.testing.assert_close(stem(image), torch.where(linear > 0, linear, 0.01 * linear))


def test_the_attribute_is_concatenated_at_every_stage() -> None:
    """Channels with the attribute's 8 at each stage: 264, 272 to 136, 144 to 72, 80 to 3."""
    decoder = ConcatDecoder(256, 8, 3, i2i.NORM("in"), i2i.NORM("ln"), i2i.ACTIVATION("relu"))
    assert decoder.blocks[0].first.conv.in_channels == 264
    assert [tuple(up.conv.weight.shape) for up in decoder.up] == [(272, 136, 3, 3), (144, 72, 3, 3)]
    assert decoder.head.weight.shape == (3, 80, 1, 1)
    tiled = concatenate(torch.zeros(2, 1, 2, 3), torch.tensor([[1.0], [2.0]]))
    assert tiled.shape == (2, 2, 2, 3)
    assert tiled[0, 1].eq(1).all()
    assert tiled[1, 1].eq(2).all()


def test_a_transformed_block_follows_its_formula() -> None:
    """Twice conv, instance norm, and two 1x1 convolutions of features and vector; then the skip connection."""
    torch.manual_seed(0)
    block = TransformedBlock(3, i2i.NORM("in"), i2i.ACTIVATION("relu")).double()
    x, vector = torch.randn(2, 3, 5, 4, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    hidden = x
    for convolution, mix in ((block.first, block.first_mix), (block.second, block.second_mix)):
        hidden = F.conv2d(F.pad(hidden, [1] * 4, "reflect"), convolution.conv.weight, convolution.conv.bias)
        hidden = F.instance_norm(hidden)
        hidden = torch.cat([hidden, vector[..., None, None].expand_as(hidden)], 1)
        for layer in (mix.wide, mix.narrow):
            mixed = torch.einsum("oi,bihw->bohw", layer.conv.weight[..., 0, 0], hidden)
            hidden = F.relu(mixed + layer.conv.bias[:, None, None])
    torch.testing.assert_close(block(x, vector), x + hidden)


def test_the_mlp_is_split_into_a_vector_for_each_block() -> None:
    decoder = ShapeDecoder(16, 2, 4, 8, i2i.NORM("in"), i2i.NORM("ln"), i2i.ACTIVATION("relu"))
    first, second, last = decoder.mlp.layers
    attribute = torch.randn(3, 2)
    whole = last(F.relu(second(F.relu(first(attribute)))))
    vectors = decoder.mlp(attribute)
    assert len(vectors) == 4
    for index, vector in enumerate(vectors):
        assert torch.equal(vector, whole[:, 16 * index : 16 * (index + 1)])


def test_discriminators_have_no_norms() -> None:
    """The reference never makes the norms that it asks for."""
    recipe = Recipe.read("drit")
    discriminators: list[nn.Module] = [recipe.translator.options["discriminators"]["multiscale"](image_size=216)]
    discriminators.append(ContentDiscriminator(channels=8, num_features=8))
    for discriminator in discriminators:
        layers = [module for module in discriminator.modules() if not list(module.children())]
        assert all(isinstance(layer, nn.Conv2d | nn.LeakyReLU) for layer in layers)


@pytest.mark.parametrize(("side", "map_side"), [(53, 1), (54, 1), (56, 1), (64, 2)])
def test_the_content_discriminator_takes_contents_of_212_px_and_more(side: int, map_side: int) -> None:
    discriminator = ContentDiscriminator(channels=4, num_features=2)
    content = torch.randn(1, 2, side, side, requires_grad=True)
    logits = discriminator(content).logits["content"]
    assert logits.shape == (1, 1, map_side, map_side)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    with pytest.raises(ShapeError, match=r"sides of at least 53, got \[1, 2, 52, 52\]"):
        discriminator(torch.zeros(1, 2, 52, 52))


def test_smaller_images_are_refused_with_the_number() -> None:
    with pytest.raises(OptionError, match="needs images of at least 212 px, got 208; content_pooled takes"):
        ContentDiscriminator.check(208)
    ContentDiscriminator.check(212)
    with pytest.raises(OptionError, match="4 layers need images of at least 64 px, got 60 px; 3 layers would fit"):
        PooledContentDiscriminator.check(60, 4)
    PooledContentDiscriminator.check(64, 4)


@pytest.mark.parametrize("size", [8, 16, 17, 54])
def test_the_pooled_one_takes_small_contents(size: int) -> None:
    discriminator = PooledContentDiscriminator(channels=4, num_features=2)
    content: Tensor = torch.randn(3, 2, size, size)
    logits = discriminator(content).logits["content"]
    assert logits.shape == (3, 1, 1, 1)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    with pytest.raises(ShapeError, match="sides of at least 8"):
        discriminator(torch.zeros(1, 2, 7, 8))
