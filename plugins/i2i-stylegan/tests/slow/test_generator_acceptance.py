"""Small generators on drawn data: what codes, classes and styles do, and what ADA is for.

    python -m pytest -m slow plugins/i2i-stylegan/tests/slow -s

prints the figures of docs/generating.md. I2I_MEASURED_RUNS names a folder with runs by their recipes' names, which are
measured in place of new ones; `stylegan2_shapes16` needs its checkpoint after a tenth of the steps.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan.latents import coarse_layers, mix
from torch import Tensor

import i2i
from i2i.demo.attribute_network import held_out_accuracy, train_attribute_network
from i2i.demo.attributes import TAGS
from i2i.demo.portraits import Portraits
from i2i.demo.shapes import Shapes
from i2i.evaluation.evaluate import Evaluator, Options
from i2i.evaluation.image_sets import from_arrays, to_pixels
from i2i.recipe.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parent))
from shape_measures import COLOR, SHAPE, ShapeNetwork, shape_network

pytestmark = pytest.mark.slow
COUNT = 128
Trained = Callable[..., Path]


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    """Train a recipe, or take a run that is there."""

    def run(recipe: str, settings: Mapping[str, Any] | None = None, name: str = "") -> Path:
        folder = Path(os.environ.get("I2I_MEASURED_RUNS") or tmp_path) / (name or recipe)
        if not folder.exists():
            i2i.train(Recipe.read(recipe, dict(settings or {})), folder)
        return folder

    return run


@pytest.fixture(scope="session")
def network() -> ShapeNetwork:
    found, accuracy = shape_network(16)
    report("network that measures shapes of 16 px, on held-out ones", accuracy)
    return found


def report(line: str, figures: Mapping[str, Any]) -> None:
    shown = (
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
    print(f"\n{line}: {', '.join(shown)}", flush=True)


def test_codes_of_infogan(trained: Trained, network: ShapeNetwork) -> None:
    """The category is the class, which training never saw, and a continuous code moves one factor to one side."""
    translator: Any = i2i.load(trained("infogan_small"), device="cpu").translator
    with torch.inference_mode():
        found = [network.classes(translator.sample(range(2 * COUNT), categories=(code,))) for code in (0, 1)]
    match = max(
        float(torch.stack([(found[code] == label).float().mean() for code, label in enumerate(labels)]).mean())
        for labels in permutations((0, 1))
    )
    report("InfoGAN, categorical code", {"class": match})
    moved = {}
    for code in range(translator.continuous):
        for factor, values in sweep(translator, network, code).items():
            steps = values.diff(dim=0)
            monotone = bool((steps.mean(1) > 0).all() or (steps.mean(1) < 0).all())
            share = (values[-1] - values[0]).sign()
            moved[code, factor] = monotone, abs(float(share.mean())), abs(float((values[-1] - values[0]).mean()))
    for (code, factor), (monotone, share, distance) in moved.items():
        report(
            f"InfoGAN, code {code}, {factor}",
            {"monotone": monotone, "images moved to one side": share / 2 + 0.5, "by": distance},
        )
    assert match >= 0.8
    assert any(monotone and share >= 0.9 and distance >= 0.1 for monotone, share, distance in moved.values())


def sweep(translator: Any, network: ShapeNetwork, code: int) -> dict[str, Tensor]:
    """Return place and side [9, 64] of 64 images for nine values of one continuous code, the others at 0."""
    rows = []
    for value in torch.linspace(-1, 1, 9).tolist():
        codes = tuple(value if number == code else 0.0 for number in range(translator.continuous))
        with torch.inference_mode():
            rows.append(network.measure(translator.sample(range(64), codes=codes)))
    return {factor: torch.stack([row[factor] for row in rows]) for factor in ("x", "y", "side")}


def test_classes_of_a_conditional_gan(trained: Trained, network: ShapeNetwork) -> None:
    loaded = i2i.load(trained("cgan_small"), device="cpu")
    right = [
        float((network.classes(loaded.sample(2 * COUNT, classes=(label,))) == label).float().mean()) for label in (0, 1)
    ]
    report("conditional GAN, class right", {"squares": right[0], "circles": right[1]})
    assert sum(right) / 2 >= 0.9


def test_attributes_of_makegirlsmoe(trained: Trained) -> None:
    """Each attribute is asked for half of the time; hair has one colour."""
    translator: Any = i2i.load(trained("makegirlsmoe_small"), device="cpu").translator
    measuring = train_attribute_network(count=1500)
    accuracy = held_out_accuracy(measuring, 200)
    report("network that measures portraits, on held-out ones", {name: accuracy[name] for name in TAGS})
    _, wanted = translator.latents(range(COUNT))
    with torch.inference_mode():
        found = measuring.measure(translator.sample(range(COUNT)))
    right = {}
    for index, name in enumerate(TAGS):
        same = ((found[name] > 0.5) == (wanted[:, index] > 0.5)).float()
        right[name] = float((same[wanted[:, index] > 0.5].mean() + same[wanted[:, index] < 0.5].mean()) / 2)
    report("MakeGirlsMoe, attribute right", right)
    assert sum(right.values()) / len(right) >= 0.9


def test_stylegan2(trained: Trained, network: ShapeNetwork) -> None:
    """KID falls, truncation trades recall for precision, coarse layers change shape and fine ones colour."""
    folder = trained("stylegan2_shapes16")
    loaded = i2i.load(folder, device="cpu")
    early = i2i.load(folder / "checkpoints" / f"step-{loaded.step // 10:07d}", device="cpu")
    evaluator = Evaluator(Options(metrics=("kid", "precision", "recall"), use_cache=False, device="cpu"))
    pairs = Shapes(16, color_a="random", color_b="random").pairs(COUNT // 2)
    real = from_arrays(to_pixels(torch.cat([pairs["a"], pairs["b"]])), "held-out")
    figures = {}
    for run, truncation in ((early, 1.0), (loaded, 1.0), (loaded, 0.7), (loaded, 0.4)):
        images = from_arrays(to_pixels(run.sample(COUNT, truncation=truncation)), f"step {run.step}")
        found = {one.name.split()[0]: one.value for one in evaluator.evaluate(images, real).figures}
        report(f"StyleGAN2, step {run.step}, truncation {truncation:g}", found)
        figures[run.step, truncation] = found
    effects = swapped(loaded, network)
    for part, (shape, color) in effects.items():
        report(f"StyleGAN2, {part} layers of another image", {"shape": shape, "colour": color})
    last = loaded.step
    assert figures[last, 1.0]["kid"] < figures[early.step, 1.0]["kid"] / 3
    assert figures[last, 0.4]["precision"] > figures[last, 1.0]["precision"]
    assert figures[last, 0.4]["recall"] < figures[last, 1.0]["recall"]
    assert effects["coarse"][0] > effects["fine"][0]
    assert effects["fine"][1] > effects["coarse"][1]


def swapped(loaded: Any, network: ShapeNetwork) -> dict[str, tuple[float, float]]:
    """Return how far coarse and fine layers of another image move shape and colour, as shares of all layers' effect."""
    count = loaded.translator.generator.num_ws
    coarse = list(coarse_layers(loaded))
    parts = {"coarse": coarse, "fine": [layer for layer in range(count) if layer not in coarse], "all": range(count)}
    rows, columns = list(range(32)), list(range(100, 104))
    moves: dict[str, dict[str, float]] = {}
    for part, layers in parts.items():
        found = mix(loaded, rows, columns, list(layers))
        before = network.measure(found.rows.repeat_interleave(len(columns), 0))
        after = network.measure(found.mixed.flatten(0, 1))
        moves[part] = {name: float((after[name] - before[name]).abs().mean()) for name in before}

    def share(part: str, names: tuple[str, ...]) -> float:
        return sum(moves[part][name] / moves["all"][name] for name in names) / len(names)

    return {part: (share(part, SHAPE), share(part, COLOR)) for part in ("coarse", "fine")}


SHORT: dict[str, Any] = {
    "translator.generator.channel_base": 256,
    "data.data.count": 64,
    "data.cache": True,
    "train.steps": 250,
    "train.sample_every": 0,
}
DISCRIMINATOR = "translator.discriminators.image"
ADA: dict[str, tuple[str, dict[str, Any]]] = {
    "without_ada": ("stylegan2_small", {**SHORT, f"{DISCRIMINATOR}.channel_base": 256}),
    "with_ada": (
        "stylegan2_ada_small",
        {**SHORT, f"{DISCRIMINATOR}.discriminator.channel_base": 256, f"{DISCRIMINATOR}.augmentation.kimg": 2},
    ),
}
"""The small recipes with few channels and steps, on 64 images; p reaches 1 after 125 steps at the earliest."""


def test_ada_lowers_the_gap_of_the_discriminator(trained: Trained) -> None:
    """On 64 images a discriminator knows them by heart; with ADA it tells them less from images that it never saw."""
    gaps = {}
    for name, (recipe, settings) in ADA.items():
        translator: Any = i2i.load(trained(recipe, settings, name), device="cpu").translator
        discriminator = translator.discriminators["image"].eval()
        discriminator = getattr(discriminator, "discriminator", discriminator)  # images without augmentation
        portraits = Portraits(32, count=64)
        seen = torch.stack([portraits[number]["b"] for number in range(64)])
        with torch.inference_mode():
            known, new, made = (
                float(discriminator(images).logits["image"].mean())
                for images in (seen, portraits.preview(64)["b"], translator.sample(range(64)))
            )
        gaps[name] = known - new, (known - new) / (known - made)
        report(name, {"D(training)": known, "D(held-out)": new, "D(generated)": made})
        report(name, {"gap": gaps[name][0], "as a share of that to generated images": gaps[name][1]})
    assert all(with_ada < without for with_ada, without in zip(gaps["with_ada"], gaps["without_ada"], strict=True))
