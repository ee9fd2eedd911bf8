"""MUNIT's and UNIT's translators: what exists, what is drawn, what is refused, and what else they can be built of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import i2i
from i2i.core.contracts import Batch
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods.assembly import build, dry_run
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.loaded import Loaded

TINY: dict[str, Any] = {
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.multiscale.channels": 4,
    "translator.discriminators.multiscale.layers": 2,
    "translator.discriminators.multiscale.scales": 2,
    "data.size": 32,
    "data.count": 8,
    "train.steps": 4,
    "train.batch_size": 2,
    "train.workers": 0,
    "train.sample_every": 0,
}


def tiny(name: str, **more: Any) -> Recipe:
    return Recipe.read(name, {**TINY, **more})


def images(count: int = 2, size: int = 32, seed: int = 0) -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return {domain: torch.rand(count, 3, size, size, generator=draws) * 2 - 1 for domain in "ab"}


@pytest.fixture(scope="module")
def munit() -> Loaded:
    recipe = tiny("munit_small")
    return Loaded(recipe, build(recipe).eval(), 0)


MIXES: list[tuple[str, dict[str, Any]]] = [
    ("munit_small", {}),
    ("unit_small", {}),
    ("munit_small", {"losses.cycle.weight": 0, "losses.style.weight": 0}),
    ("munit_small", {"losses.gan.type": "hinge"}),
    ("munit_small", {"losses.gan.type": "wgan_gp"}),
    ("munit_small", {"translator.generator.decoder_norm": "adalin"}),
    ("munit_small", {"translator.generator.upsample_norm": "iln"}),
    ("munit_small", {"translator.discriminators.local.type": "patch", "translator.discriminators.local.layers": 4}),
    ("unit_small", {"translator.generator.norm.type": "gn", "translator.generator.norm.groups": 4}),
    ("unit_small", {"losses.gan.type": "bce_gan", "train.precision": "bf16"}),
    ("munit_small", {"train.precision": "bf16", "train.ema": 0.9}),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "more"), MIXES)
def test_a_recipe_and_its_mixes_take_two_steps(name: str, more: dict[str, Any]) -> None:
    recipe = tiny(name, **more)
    if not more or "losses.gan.type" in more:  # other networks give the losses the same outputs
        dry_run(recipe)
    stepper = Stepper(recipe)
    before = {key: value.clone() for key, value in stepper.translator.named_parameters()}
    for step in range(2):
        terms = stepper.step(images(seed=step))
        assert all(torch.isfinite(value) for value in terms.values())
    unmoved = [key for key, value in stepper.translator.named_parameters() if torch.equal(value, before[key])]
    # A critic's common offset has no gradient, nor has hinge's while every logit is within the margin; in half
    # precision the two halves of cross entropy cancel at the start.
    if "losses.gan.type" in more:
        unmoved = [key for key in unmoved if not key.endswith("final.bias")]
    assert not unmoved
    with stepper.eval_mode() as translator, torch.no_grad():
        rows = translator.preview(images())
    assert all(row.shape == (2, 3, 32, 32) for column in rows.values() for row in column.values())


@pytest.mark.parametrize("name", ["munit_small", "unit_small"])
def test_accumulated_steps_are_the_same_again(name: str) -> None:
    """The draws follow from the step, so a run that is taken up again is the same run."""
    halves = [{domain: image[part] for domain, image in images().items()} for part in (slice(1), slice(1, 2))]
    ends = []
    for _ in range(2):
        stepper = Stepper(tiny(name))
        torch.manual_seed(len(ends))  # nobody reads torch's own generator
        terms = stepper.step(*halves)
        ends.append((terms, stepper.translator.state_dict()))
    (first, start), (second, end) = ends
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(torch.equal(start[key], end[key]) for key in start)


def test_accumulation_reaches_the_encoders_too() -> None:
    """The discriminators' phase makes fakes without a graph; the generators' phase must not inherit its contents."""
    for upcoming in (("generator",), ()):
        translator = build(tiny("munit_small"))
        batch = Batch(images(), upcoming=upcoming)
        for phase in ("discriminator", "generator"):
            terms = translator(batch, phase)
        terms["losses" if "losses" in terms else "content"].backward()
        gradients = [p.grad for p in translator.get_submodule("generators.a.encoder").parameters()]
        assert all(gradient is not None for gradient in gradients)


def test_each_phase_draws_its_own_styles() -> None:
    translator = build(tiny("munit_small"))
    batch = Batch(images(), seed=5)
    seen: dict[str, dict[str, Tensor]] = {}
    for phase in ("discriminator", "generator"):
        made: Any = translator.start_phase(batch, phase)
        seen[phase] = made.random_style
        assert all(style.shape == (2, 8) for style in seen[phase].values())
        assert made.content is translator.start_phase(batch, phase).content  # type: ignore[attr-defined]  # encoded once
    codes = [style for styles in seen.values() for style in styles.values()]
    assert all(not torch.equal(one, two) for i, one in enumerate(codes) for two in codes[:i])


def test_noise_is_for_training_alone() -> None:
    translator: Any = build(tiny("unit_small"))
    batch = images()
    trained = translator.start_phase(Batch(batch, seed=1), "generator").reconstruction
    again = translator.start_phase(Batch(batch, seed=1), "generator").reconstruction
    other = translator.start_phase(Batch(batch, seed=2), "generator").reconstruction
    assert torch.equal(trained["a"], again["a"])
    assert not torch.equal(trained["a"], other["a"])
    translator.eval()
    quiet = translator.start_phase(Batch(batch, seed=1), "generator").reconstruction
    assert torch.equal(quiet["a"], translator.generators["a"](batch["a"]).image)
    assert torch.equal(
        translator.translate(batch["a"], "b").image,
        translator.generators["b"].decode(translator.generators["a"].encode(batch["a"])),
    )


@pytest.mark.parametrize(
    ("translator", "generator", "message"),
    [
        (
            "munit_small",
            "resnet",
            "expected one with encode_content, encode_style, decode, such as content_style, got ",
        ),
        ("unit_small", "resnet", "expected one with encode, decode, such as shared_latent, got 'resnet', which lacks "),
        ("unit_small", "content_style", "which lacks encode"),
    ],
)
def test_generators_that_do_not_fit_are_refused(translator: str, generator: str, message: str) -> None:
    more = {"translator.generator": {"type": generator}}
    with pytest.raises(RecipeError) as caught:
        Recipe.read(translator, more)
    assert message in str(caught.value)


def test_styles(munit: Loaded) -> None:
    batch = images()["a"]
    assert munit.translator.conditions() == ["style", "seed", "blend"]
    default = munit.translate(batch, "b")
    assert torch.equal(default, munit.translate(batch, "b", style="random"))
    assert torch.equal(default, munit.translate(batch, "b", style=1, seed=0))
    torch.testing.assert_close(default[:1], munit.translate(batch[:1], "b"))  # whatever else is in the batch
    assert not torch.equal(default, munit.translate(batch, "b", style=2))
    assert not torch.equal(default, munit.translate(batch, "b", seed=1))
    code = torch.randn(8)
    expected = munit.translate(batch, "b", style=code)
    for shape in ((1, 8), (1, 8, 1, 1)):
        assert torch.equal(expected, munit.translate(batch, "b", style=code.reshape(shape)))
    each = munit.translate(batch, "b", style=torch.stack([code, -code]))
    torch.testing.assert_close(each[0], expected[0])
    assert not torch.equal(each[1], expected[1])


def test_the_style_of_a_image(munit: Loaded, tmp_path: Path) -> None:
    batch, reference = images()["a"], images(1, seed=3)["b"]
    with torch.no_grad():
        code = munit.translator.style_of(reference, "b")  # type: ignore[operator]
    expected = munit.translate(batch, "b", style=code)
    assert torch.equal(expected, munit.translate(batch, "b", style=reference))
    assert torch.equal(expected, munit.translate(batch, "b", style=reference[0]))
    image = i2i.use.loaded.to_image(reference[0])
    image.save(tmp_path / "reference.png")
    from_image = munit.translate(batch, "b", style=image)
    assert torch.equal(from_image, munit.translate(batch, "b", style=tmp_path / "reference.png"))
    assert torch.equal(from_image, munit.translate(batch, "b", style=str(tmp_path / "reference.png")))
    assert (from_image - expected).abs().max() < 0.05  # 8 bits a colour


def test_several_styles_are_mixed_in_their_codes(munit: Loaded) -> None:
    batch, reference = images()["a"], images(1, seed=3)["b"]
    one, two = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0))
    mixed = munit.translate(batch, "b", blend=[(one, 3), (two, 1)])
    torch.testing.assert_close(mixed, munit.translate(batch, "b", style=0.75 * one + 0.25 * two))
    assert torch.equal(munit.translate(batch, "b", blend={2: 1.0}), munit.translate(batch, "b", style=2))
    with torch.no_grad():
        code: Tensor = munit.translator.style_of(reference, "b")  # type: ignore[operator]
    with_image = munit.translate(batch, "b", blend=[(reference, 1), (one, 1)])
    torch.testing.assert_close(with_image, munit.translate(batch, "b", style=(code + one) / 2))
    with pytest.raises(I2IError, match="style and blend cannot be given together"):
        munit.translate(batch, "b", style=2, blend={1: 1.0})
    with pytest.raises(I2IError, match="a number from 1 on or 'random', got 'pink'"):
        munit.translate(batch, "b", blend={"pink": 1.0})


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("pink", "style: expected an image, style codes of 8 numbers, a number from 1 on or 'random', got 'pink'"),
        (0, "a number from 1 on or 'random', got 0"),
        (torch.zeros(7), r"got a tensor \[7\]"),
        (torch.zeros(3, 8), "expected one style, or one for each of 2 images, got 3"),
    ],
)
def test_styles_that_mean_nothing(munit: Loaded, style: Any, message: str) -> None:
    with pytest.raises(I2IError, match=message):
        munit.translate(images()["a"], "b", style=style)


def test_translators_without_styles_say_so() -> None:
    recipe = tiny("unit_small")
    loaded = Loaded(recipe, build(recipe).eval(), 0)
    with pytest.raises(I2IError) as caught:
        loaded.translate(images()["a"], "b", style=1)
    assert str(caught.value) == "this translator takes no style; it takes only the image and the domain"


def test_styles_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from i2i.cli import main

    def run(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["i2i", "translate", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            raise SystemExit(main())
        return int(caught.value.code or 0)  # type: ignore[arg-type]

    recipe = tiny("munit_small")
    Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None).save()
    source, reference = tmp_path / "in.png", tmp_path / "reference.png"
    i2i.use.loaded.to_image(images()["a"][0]).save(source)
    i2i.use.loaded.to_image(images()["b"][0]).save(reference)
    out = tmp_path / "out"
    assert run(tmp_path / "run", source, "--style", 3, "--output", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["in.1.png", "in.2.png", "in.3.png"]
    assert len({path.read_bytes() for path in out.iterdir()}) == 3
    assert run(tmp_path / "run", source, "--output", tmp_path / "default") == 0
    assert (tmp_path / "default/in.png").read_bytes() == (out / "in.1.png").read_bytes()
    assert run(tmp_path / "run", source, "--style", reference, "--output", tmp_path / "requires_condition") == 0
    assert run(tmp_path / "run", source, "--style", "random", "--seed", 7, "--output", tmp_path / "random") == 0
    made = {(tmp_path / name / "in.png").read_bytes() for name in ("default", "requires_condition", "random")}
    assert len(made) == 3
    capsys.readouterr()
    assert run(tmp_path / "run", source, "--style", "gone.png", "--output", out) == 2
    assert "expected random, a number from 1 on or an image, got 'gone.png'" in capsys.readouterr().err
    recipe = tiny("unit_small")
    Run(tmp_path / "unit", recipe, Stepper(recipe), dataset=None).save()
    assert run(tmp_path / "unit", source, "--style", 2, "--output", out) == 2
    assert "this translator takes no style" in capsys.readouterr().err
