"""StyleGAN2: networks without official figures, outputs, phases, sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan import importers
from i2i_stylegan.importers import check_rosinality, rosinality, to_rosinality
from i2i_stylegan.layers import modulated_conv
from i2i_stylegan.stylegan2 import StyleGAN2Generator
from i2i_stylegan.stylegan2_discriminator import StyleGAN2Discriminator
from stylegan_settings import TINY

import i2i
from i2i.cli import run as command
from i2i.core.contracts import Batch
from i2i.engine.stepper import Stepper
from i2i.errors import CheckpointError, I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.sampling import sample


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_a_gradient_reaches_every_parameter(architecture: Any) -> None:
    sizes: dict[str, Any] = {"image_size": 16, "channel_base": 64, "channel_max": 8, "architecture": architecture}
    sizes |= {"num_classes": 3, "mapping_layers": 2, "mapping_features": 7, "embed_features": 4}
    generator = StyleGAN2Generator(z_dim=6, w_dim=5, **sizes)
    discriminator = StyleGAN2Discriminator(cmap_dim=9, **sizes)
    c = torch.eye(3)[[0, 1, 2, 0]]
    image = generator(torch.randn(4, 6), c)
    assert image.shape == (4, 3, 16, 16)
    logits = discriminator(image, c).logits["image"]
    assert logits.shape == (4, 1)
    logits.square().sum().backward()
    for network in (generator, discriminator):
        assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_noise_modes_agree_at_strength_0_and_demodulation_keeps_the_variance() -> None:
    generator = StyleGAN2Generator(image_size=16, z_dim=6, w_dim=5, channel_base=64, channel_max=8)
    z = torch.randn(2, 6)
    images = [generator(z, noise=noise) for noise in ("none", "const", "random")]
    torch.testing.assert_close(images[0], images[1])
    torch.testing.assert_close(images[0], images[2])
    x = torch.randn(8, 64, 16, 16)
    y = modulated_conv(x, torch.randn(32, 64, 3, 3), torch.rand(8, 64) + 0.5, padding=1)
    assert float(y[..., 1:-1, 1:-1].var()) == pytest.approx(1, abs=0.1)


def test_truncation_and_seeds() -> None:
    translator: Any = build(Recipe.read("stylegan2_small", TINY | {"train.ema": "none"})).eval()
    translator.generator.mapping.w_avg.normal_()
    full = translator.styles([3, 4])
    torch.testing.assert_close(translator.styles([3, 4], truncation=1.0), full)
    average = translator.generator.mapping.w_avg
    torch.testing.assert_close(translator.styles([3], truncation=0.0)[0], average.expand(len(full[0]), -1))
    torch.testing.assert_close(translator.styles([4])[0], full[1])  # independent of the other seeds
    with pytest.raises(I2IError, match="truncation: expected a finite number, got nan"):
        translator.styles([0], truncation=float("nan"))
    with pytest.raises(I2IError, match="classes: this translator generates images without classes"):
        translator.styles([0], classes=(1,))


def test_a_run_trains_resumes_and_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted run, resumed, equals the uninterrupted one to the bit, with lazy phases and averages."""
    settings = TINY | {"translator.conditional": True, "data.of": []}
    whole = i2i.train(Recipe.read("stylegan2_small", settings), tmp_path / "whole")
    from i2i.engine import checkpoint

    step = Stepper.step

    def interrupted(stepper: Stepper, *batches: Any) -> Any:
        if stepper.step_number == 3:
            raise KeyboardInterrupt
        return step(stepper, *batches)

    monkeypatch.setattr(Stepper, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        i2i.train(Recipe.read("stylegan2_small", settings), tmp_path / "resumed")
    monkeypatch.setattr(Stepper, "step", step)
    resumed = i2i.train(
        Recipe.read("stylegan2_small", settings), tmp_path / "resumed", checkpoint.find(tmp_path / "resumed")
    )
    assert resumed.start == 2
    for name, value in whole.translator.state_dict().items():
        assert torch.equal(value, resumed.translator.state_dict()[name]), name
    assert all(torch.equal(v, resumed.stepper.ema.average[k]) for k, v in whole.stepper.ema.average.items())

    loaded = i2i.load(tmp_path / "whole", device="cpu")
    images = loaded.sample(3, seed=1, truncation=0.7, classes=(1, 0))
    assert images.shape == (3, 3, 16, 16)
    torch.testing.assert_close(sample(loaded, [3], truncation=0.7, classes=(1, 0))[0], images[2])
    assert command(["sample", str(tmp_path / "whole"), "--count", "3", "--output", str(tmp_path / "images")]) == 0
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [f"seed000{i}.png" for i in range(3)]
    grid = tmp_path / "grid.png"
    assert command(["sample", str(tmp_path / "whole"), "--count", "3", "--grid", "2x2", "--output", str(grid)]) == 0
    capsys.readouterr()
    for option, value, message in (
        ("--classes", "0,2", "classes: expected numbers from 0 to 1, got 2"),
        ("--truncation", "nan", "truncation: expected a finite number, got nan"),
        ("--with", "psi=1", "conditions of this translator: classes, truncation, noise"),
        ("--grid", "2x1", "room for 3 images"),
    ):
        assert command(["sample", str(tmp_path / "whole"), "--count", "3", option, value]) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(I2IError, match="use i2i sample"):
        loaded.translate(torch.zeros(1, 3, 16, 16))


def test_widths_that_follow_no_rule_go_to_rosinality_and_back(tmp_path: Path) -> None:
    widths: dict[str, Any] = {"translator.generator.channels": [9, 7, 7]}
    widths |= {"translator.discriminators.image.channels": [6, 8, 5]}
    weights = build(Recipe.read("stylegan2_small", TINY | widths | {"train.ema": "none"})).state_dict()
    torch.save(to_rosinality(weights, 16), tmp_path / "weights.pt")
    imported = rosinality(tmp_path / "weights.pt")
    assert {name: imported.settings[name] for name in widths} == widths
    kept = [name for name in imported.weights if not name.startswith("losses.")]
    assert all(imported.weights[name].equal(weights[name]) for name in kept)
    for given, rule in (({4: 50, 8: 25, 16: 12}, (200, 50)), ({4: 8, 8: 8, 16: 4}, (64, 8))):
        assert tuple(importers._widths("g", given).values()) == rule


def test_options_that_rosinality_has_fixed_are_refused() -> None:
    for name, value in (("resample_filter", [1, 2, 1]), ("mapping_rate", 0.1)):
        settings = TINY | {f"translator.generator.{name}": value, "train.ema": "none"}
        translator: Any = build(Recipe.read("stylegan2_small", settings))
        with pytest.raises(CheckpointError, match=name):
            check_rosinality(translator.generator)


def test_a_lazy_phase_without_a_loss_is_omitted() -> None:
    stepper = Stepper(Recipe.read("stylegan2_small", TINY | {"losses.path_length.weight": 0}))
    terms = stepper.step({"image": torch.rand(4, 3, 16, 16) * 2 - 1})
    assert {name.partition("/")[0] for name in terms} == {"generator", "discriminator", "discriminator_regularization"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data.data.size": 24}, "power of two from 8 on, got 24"),
        ({"translator.conditional": True, "data.of": ["a"]}, "needs data with a stream 'label' of known classes"),
        ({"translator.generator.num_fp16_res": 2}, "float16 needs conv_clamp"),
        ({"train.ema.decay": 0.9}, "expected either half_life or decay"),
        ({"data.of": ["c"]}, "no domain 'c'; there are a, b"),
        ({"translator.generator.channels": [8, 8]}, "expected 3 numbers, for 4, 8, 16 px, got 2"),
    ],
)
def test_wrong_recipes_are_refused(settings: dict[str, Any], message: str) -> None:
    from i2i.methods.assembly import dry_run

    with pytest.raises((RecipeError, I2IError)) as caught:
        dry_run(Recipe.read("stylegan2_small", TINY | settings))
    assert message in str(caught.value)


def test_outputs_are_drawn_again_in_each_phase() -> None:
    translator: Any = build(Recipe.read("stylegan2_small", TINY | {"train.ema": "none"}))
    batch = Batch({"image": torch.zeros(4, 3, 16, 16)}, seed=1)

    def latent(phase: str) -> torch.Tensor:
        return translator.start_phase(batch, phase).latent["image"]

    assert not torch.equal(latent("generator"), latent("discriminator"))
    assert torch.equal(latent("generator"), latent("generator"))
    outputs = translator.start_phase(batch, "discriminator")
    assert not outputs.fake["image"].requires_grad
