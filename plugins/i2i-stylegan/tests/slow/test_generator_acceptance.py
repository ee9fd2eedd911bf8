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
from torch.nn import functional as F

import i2i
from i2i.demo.attribute_network import held_out_accuracy, train_attribute_network
from i2i.demo.attributes import TAGS, attributes
from i2i.demo.character import Character
from i2i.demo.shapes import Shapes
from i2i.evaluation.evaluate import Evaluator, Options
from i2i.evaluation.feature_distances import manifold
from i2i.evaluation.image_sets import from_arrays, to_pixels
from i2i.recipe.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parent))
from shape_measures import COLOR, SHAPE, ShapeNetwork, shape_network

pytestmark = pytest.mark.slow
COUNT = 128
UNSEEN = 2**43
"""Characters with these numbers and above neither the recipe nor the measuring network is trained on."""
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


@pytest.mark.parametrize("recipe", ["cgan_small", "biggan_small"])
def test_classes(trained: Trained, network: ShapeNetwork, recipe: str) -> None:
    """Samples show their class. Images of 32 px are measured in half their size, as are drawn ones of both classes."""
    loaded = i2i.load(trained(recipe), device="cpu")
    size = loaded.recipe.image_size[0]
    drawn = Shapes(size).pairs(250)
    made = {label: loaded.sample(2 * COUNT, classes=(label,)) for label in (0, 1)}
    for name, images in (("drawn", {0: drawn["a"], 1: drawn["b"]}), (recipe, made)):
        found = {label: network.classes(F.adaptive_avg_pool2d(image, 16)) for label, image in images.items()}
        right = [float((found[label] == label).float().mean()) for label in (0, 1)]
        report(f"{name}, {size} px, class right", {"squares": right[0], "circles": right[1]})
    assert sum(right) / 2 >= 0.9


def test_attributes_of_makegirlsmoe(trained: Trained) -> None:
    """Samples have the attributes of characters that training never sees.

    Rare attributes count as much as frequent ones: the share that is right is the mean of the shares among samples with
    the attribute and without.
    """
    loaded = i2i.load(trained("makegirlsmoe_small"), device="cpu")
    translator: Any = loaded.translator
    zoom = loaded.recipe.data.options["zoom"]
    measuring = train_attribute_network(count=4000, zoom=zoom)
    accuracy = held_out_accuracy(measuring, 1000, zoom=zoom)
    report("network that measures portraits, on held-out ones", {name: accuracy[name] for name in TAGS})
    people = [attributes(Character.drawn_from([0, number])) for number in range(UNSEEN, UNSEEN + 4 * COUNT)]
    seen = torch.tensor([[person[name] for name in TAGS] for person in people])
    z, free = translator.latents(range(4 * COUNT))
    mean = {}
    for line, wanted in (("of drawn characters", seen), ("drawn one by one", free)):
        with torch.inference_mode():
            parts = zip(z.split(64), wanted.split(64), strict=True)
            found = measuring.measure(torch.cat([translator.generate(*part) for part in parts]))
        right = {}
        for index, name in enumerate(TAGS):
            has = wanted[:, index] > 0.5
            same = ((found[name] > 0.5) == has).float()
            right[name] = float((same[has].mean() + same[~has].mean()) / 2)
        mean[line] = sum(right.values()) / len(right)
        report(f"MakeGirlsMoe, attributes {line}, right", {**right, "mean": mean[line]})
    assert mean["of drawn characters"] >= 0.9


def test_stylegan2(trained: Trained, network: ShapeNetwork) -> None:
    """KID falls; coarse layers change shape and fine ones colour."""
    folder = trained("stylegan2_shapes16")
    loaded = i2i.load(folder, device="cpu")
    early = i2i.load(folder / "checkpoints" / f"step-{loaded.step // 10:07d}", device="cpu")
    evaluator = Evaluator(Options(metrics=("kid",), use_cache=False, device="cpu"))
    pairs = Shapes(16, color_a="random", color_b="random").pairs(COUNT // 2)
    real = from_arrays(to_pixels(torch.cat([pairs["a"], pairs["b"]])), "held-out")
    kid = {}
    for run in (early, loaded):
        images = from_arrays(to_pixels(run.sample(COUNT)), f"step {run.step}")
        kid[run.step] = evaluator.evaluate(images, real).figures[0].value
        report(f"StyleGAN2, step {run.step}", {"kid": kid[run.step]})
    effects = swapped(loaded, network)
    for part, (shape, color) in effects.items():
        report(f"StyleGAN2, {part} layers of another image", {"shape": shape, "colour": color})
    assert kid[loaded.step] < kid[early.step] / 3
    assert effects["coarse"][0] > effects["fine"][0]
    assert effects["fine"][1] > effects["coarse"][1]


def swapped(loaded: Any, network: ShapeNetwork) -> dict[str, tuple[float, float]]:
    """Return how far coarse and fine layers of another image move shape and colour, as shares of all layers' effect."""
    count = loaded.translator.generator.num_ws
    coarse = list(coarse_layers(loaded))
    parts = {"coarse": coarse, "fine": [layer for layer in range(count) if layer not in coarse], "all": range(count)}
    rows, columns = list(range(1000, 1064)), list(range(2000, 2004))
    moves: dict[str, dict[str, float]] = {}
    for part, layers in parts.items():
        found = mix(loaded, rows, columns, list(layers))
        before = network.measure(found.rows.repeat_interleave(len(columns), 0))
        after = network.measure(found.mixed.flatten(0, 1))
        moves[part] = {name: float((after[name] - before[name]).abs().mean()) for name in before}

    def share(part: str, names: tuple[str, ...]) -> float:
        return sum(moves[part][name] / moves["all"][name] for name in names) / len(names)

    return {part: (share(part, SHAPE), share(part, COLOR)) for part in ("coarse", "fine")}


RED: dict[str, Any] = {"data.of": ["b"], "data.data.color_b": "red", "train.steps": 2000}


def test_truncation(trained: Trained, network: ShapeNetwork) -> None:
    """Truncation trades recall for precision, on red circles at all places and of all sizes.

    The mean of their styles shows another red circle, as the truncation trick assumes; that of objects of two forms and
    all hues shows a greyer object, which the data has not. Features are those of the network that measures shapes.
    Of 1024 images, distances to neighbours are too large to tell truncation 0.4 from 1.
    """
    loaded = i2i.load(trained("stylegan2_shapes16", RED, "stylegan2_red16"), device="cpu")
    real = network.features(Shapes(16, color_b="red").pairs(16 * COUNT)["b"])
    found = {}
    for truncation in (1.0, 0.7, 0.4):
        found[truncation] = manifold(network.features(loaded.sample(16 * COUNT, truncation=truncation)), real)
        figures = {"precision": found[truncation].precision, "recall": found[truncation].recall}
        report(f"StyleGAN2 of red circles, truncation {truncation:g}", figures)
    assert found[0.4].precision > found[1.0].precision
    assert found[0.4].recall < found[1.0].recall


FEW: dict[str, Any] = {"data.data.count": 32, "train.steps": 2500, "train.sample_every": 0}
AUGMENTED: dict[str, Any] = {
    "type": "augmented",
    "augmentation": {"type": "ada", "kimg": 4, "target": 0.3},  # with 0.6, p is 0.02 after as many steps
    "discriminator": {
        "type": "stylegan2_ada",
        **{"channel_base": 256, "channel_max": 32, "num_fp16_res": 0, "conv_clamp": "none", "mbstd_group_size": 4},
    },
}
ADA: dict[str, dict[str, Any]] = {
    "without_ada": FEW,
    "with_ada": {**FEW, "translator.discriminators.image": AUGMENTED},
}
"""`stylegan2_shapes16` on 64 images, each of which is shown 625 times; p reaches 1 after 250 steps at the earliest."""


def test_ada_lowers_the_gap_of_the_discriminator(trained: Trained) -> None:
    """On 64 images a discriminator knows them by heart; with ADA it tells them less from images that it never saw."""
    gaps = {}
    shapes = Shapes(16, count=32, color_a="random", color_b="random")
    seen = torch.cat([torch.stack([shapes[number][domain] for number in range(32)]) for domain in "ab"])
    unseen = torch.cat(list(shapes.preview(COUNT).values()))
    for name, settings in ADA.items():
        translator: Any = i2i.load(trained("stylegan2_shapes16", settings, name), device="cpu").translator
        discriminator = translator.discriminators["image"].eval()
        discriminator = getattr(discriminator, "discriminator", discriminator)  # images without augmentation
        with torch.inference_mode():
            known, new, made = (
                float(discriminator(images).logits["image"].mean())
                for images in (seen, unseen, translator.sample(range(2 * COUNT)))
            )
        gaps[name] = known - new, (known - new) / (known - made)
        report(name, {"D(training)": known, "D(held-out)": new, "D(generated)": made})
        report(name, {"gap": gaps[name][0], "as a share of that to generated images": gaps[name][1]})
    assert all(with_ada < without for with_ada, without in zip(gaps["with_ada"], gaps["without_ada"], strict=True))
