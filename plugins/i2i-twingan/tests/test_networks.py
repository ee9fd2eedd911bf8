"""The growing networks: shapes, sharing between domains, continuity of fades, and use of every parameter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("i2i_twingan", reason="the plugin i2i-twingan is not installed")

from i2i_twingan.discriminator import PGGAN
from i2i_twingan.generator import TwinUnet

from i2i.core.kinds import NORM
from i2i.errors import OptionError, ShapeError
from i2i.methods.growth import resize_and_fade, upsample

IN = NORM("in", affine=True)


def unet(**options: object) -> TwinUnet:
    torch.manual_seed(0)
    return TwinUnet(32, 8, IN, NORM("affine"), image_size=16, init="kaiming", **options).double()  # type: ignore[arg-type]


def critic(**options: object) -> PGGAN:
    torch.manual_seed(0)
    return PGGAN(32, 8, image_size=16, init="kaiming", **options).double()  # type: ignore[arg-type]


def random_image(size: int, batch: int = 3) -> Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(size), dtype=torch.float64)


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_shapes(size: int, alpha: float) -> None:
    network, discriminator = unet(), critic()
    alpha = 1.0 if size == 4 else alpha
    for module in (network, discriminator):
        module.grow_(size, alpha)
    code = network.encode(random_image(size), "a")
    assert code.latent.shape == (3, 8, 4, 4)
    assert sorted(code.skips) == [side for side in (8, 16) if side <= size]
    assert network.decode(code, "b").shape == (3, 3, size, size)
    assert discriminator(random_image(size)).logits["image"].shape == (3, 1)


def test_the_papers_latent_has_4096_numbers() -> None:
    network = TwinUnet(init="default")
    assert network.base[0].conv.weight.shape[1] * 4 * 4 == 4096
    assert network.from_rgb["256"].conv.weight.shape == (16, 3, 1, 1)
    assert [network.up[side][0].conv.weight.shape[1] for side in ("8", "32", "256")] == [512, 512, 64]


def assert_equal_at(
    module: nn.Module, before: tuple[int, float], after: tuple[int, float], call: Callable[[], Tensor]
) -> None:
    found = []
    for level in (before, after):
        module.grow_(*level)
        with torch.no_grad():
            found.append(call())
    first, second = found
    if first.shape != second.shape:
        first = upsample(first)
    assert torch.equal(first, second)


@pytest.mark.parametrize("size", [8, 16])
def test_a_fade_starts_with_the_values_of_the_smaller_network(size: int) -> None:
    """Images, logits and latents are exactly equal."""
    network, discriminator = unet(), critic()
    for module in (network, discriminator):
        module.eval()

    def network_input(module: TwinUnet | PGGAN) -> Tensor:
        return resize_and_fade(random_image(16), module.size, module.alpha)

    levels = ((size // 2, 1.0), (size, 0.0))
    assert_equal_at(network, *levels, lambda: network.decode(network.encode(network_input(network), "a"), "b"))
    assert_equal_at(discriminator, *levels, lambda: discriminator(network_input(discriminator)).logits["image"])
    network.grow_(size // 2, 1.0)
    small = network.encode(network_input(network), "a").latent
    network.grow_(size, 0.0)
    assert torch.equal(small, network.encode(network_input(network), "a").latent)


def test_a_fade_ends_with_the_values_of_the_stable_phase() -> None:
    network, discriminator = unet(), critic()
    end = 1 - 1e-9

    def result(module: TwinUnet | PGGAN, alpha: float) -> Tensor:
        module.grow_(16, alpha)
        image = resize_and_fade(random_image(16), 16, alpha)
        if isinstance(module, PGGAN):
            return module(image).logits["image"]
        return module.decode(module.encode(image, "a"), "b")

    for module in (network, discriminator):
        torch.testing.assert_close(result(module, end), result(module, 1.0), rtol=1e-6, atol=1e-7)
        assert not torch.allclose(result(module, 0.5), result(module, 1.0), rtol=1e-3, atol=1e-4)


def test_skips_are_mixed_while_they_fade_in() -> None:
    network = unet()
    network.grow_(16, 1.0)
    image = resize_and_fade(random_image(16), 16)
    new = network.encode(image, "a").skips[16]
    old = upsample(network.from_rgb["8"](torch.nn.functional.avg_pool2d(image, 2), "a"))
    network.grow_(16, 0.3)
    torch.testing.assert_close(network.encode(image, "a").skips[16], 0.7 * old + 0.3 * new)


def names_with_gradient(module: nn.Module, loss: Tensor) -> set[str]:
    module.zero_grad()
    loss.backward()
    return {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}


def test_every_parameter_is_used_at_some_stage_and_norms_by_their_domain_only() -> None:
    network = unet(first_size=8)
    used: dict[str, set[str]] = {"a": set(), "b": set()}
    for domain in "ab":
        for level in ((8, 1.0), (16, 0.5), (16, 1.0)):
            network.grow_(*level)
            image = network.decode(network.encode(random_image(level[0]), domain), domain)
            used[domain] |= names_with_gradient(network, (image * random_image(level[0])).sum())
    every = {name for name, _ in network.named_parameters()}
    assert used["a"] | used["b"] == every
    # every convolution serves both domains, every norm one of them
    assert {name for name in every if ".conv." in name} <= used["a"] & used["b"]
    assert {name for name in used["a"] & used["b"] if ".norms." in name} == set()
    assert all(
        f".norms.{domain}." in name for domain in "ab" for name in used[domain] - used["b" if domain == "a" else "a"]
    )
    assert "4" not in network.to_rgb


def test_layers_of_larger_sizes_get_no_gradient() -> None:
    network = unet()
    network.grow_(8, 1.0)
    found = names_with_gradient(network, network.decode(network.encode(random_image(8), "a"), "a").sum())
    assert not any(name.split(".")[1] == "16" for name in found)
    assert all(p.grad is None for name, p in network.named_parameters() if name.split(".")[1] == "16")


def test_only_norms_are_specific_to_a_domain() -> None:
    network = unet()
    specific = {name for name in network.state_dict() if ".norms.a." in name or ".norms.b." in name}
    shared = set(network.state_dict()) - specific
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in shared} == {"conv"}
    assert len({id(p) for p in network.parameters()}) == len(list(network.parameters()))
    assert sum(".norms.a." in name for name in specific) == sum(".norms.b." in name for name in specific) > 0


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_every_parameter_of_the_discriminator_is_used(spectral_norm: bool) -> None:
    discriminator = critic(spectral_norm=spectral_norm)
    found: set[str] = set()
    for level in ((4, 1.0), (8, 1.0), (16, 0.5)):
        discriminator.grow_(*level)
        found |= names_with_gradient(
            discriminator, discriminator(random_image(level[0])).logits["image"].square().sum()
        )
    assert found == {name for name, _ in discriminator.named_parameters()}


def test_the_deviation_is_of_the_whole_batch() -> None:
    x = random_image(4, batch=6)
    expected = sum(
        float((x[:, c, i, j].var(correction=0) + 1e-8) ** 0.5) for c in range(3) for i in range(4) for j in range(4)
    )
    found = critic().deviation(x)
    assert found.shape == (6, 4, 4, 4)
    torch.testing.assert_close(found[:, 3], torch.full_like(found[:, 3], expected / 48))


def test_images_of_another_size_are_refused() -> None:
    discriminator = critic()
    discriminator.grow_(8, 1.0)
    with pytest.raises(ShapeError, match=r"pggan: expected images of 8 x 8 px at this step, got \[3, 3, 16, 16\]"):
        discriminator(random_image(16))


@pytest.mark.parametrize("network", [TwinUnet, PGGAN])
def test_sizes_that_do_not_double_are_refused(network: type[TwinUnet | PGGAN]) -> None:
    with pytest.raises(OptionError, match=r"image_size: expected a size that doubles from 4 px .*, got 48"):
        network(image_size=48)


def test_skips_can_be_limited_to_small_sizes() -> None:
    network = unet(skips=8)
    assert sorted(network.encode(random_image(16), "a").skips) == [8]
    assert network.up["16"][0].conv.weight.shape[1] == 8
    assert network.decode(network.encode(random_image(16), "a"), "b").shape == (3, 3, 16, 16)


def test_pixel_norm_follows_every_activation_but_the_first() -> None:
    network = unet()
    code = network.encode(random_image(16), "a")
    for features in (code.skips[16], code.skips[8]):
        torch.testing.assert_close(features.square().mean(1), torch.ones_like(features[:, 0]), rtol=1e-3, atol=1e-3)
