"""Compare recipes on real images after equal CPU time, by KID with its interval.

    uv run python benchmarks/quality.py DATA/horse2zebra --sizes 64 --minutes 2 --seeds 0

DATA/horse2zebra holds trainA, trainB, testA and testB. Each recipe trains for the same CPU time of its process, without
set-up and data loading in other processes: five steps are timed, and `train.steps` is set to what the time allows, so
that learning rates fall as the recipe says. Then testA is translated to b and compared with testB. The features are
MobileNetV2's, which no recipe trains against, unless `--features` names others. `--total` stops before a run that would
exceed the time of all runs together; what was left out is said.

Such short runs show how much a recipe learns in minutes. They do not show what it reaches in days, for which the
authors chose their settings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from i2i.data.checked import CheckedDataset, raise_if_error
from i2i.data.images import to_tensor
from i2i.data.loader import make_loader, reading
from i2i.engine.stepper import Stepper
from i2i.evaluation.evaluate import Evaluator, Options
from i2i.evaluation.image_sets import from_arrays, to_pixels
from i2i.recipe.recipe import Recipe

RECIPES = ("cyclegan", "cut", "ugatit_light", "nicegan", "best_unpaired", "best_small_data")
SMALLER: Mapping[str, Mapping[str, Any]] = {
    # Discriminators of 7 layers need 96 px.
    "ugatit_light": {"translator.discriminators.global_.layers": 6},
    "nicegan": {"translator.discriminator.layers": 6},
}
"""What 64 px demand of the authors' settings."""
TIMED = 5
"""Steps that are timed before a run."""


def settings(name: str, size: int, data: Path, seed: int) -> dict[str, Any]:
    """Return the settings of a run on top of its recipe."""
    return {
        **(SMALLER.get(name, {}) if size < 96 else {}),
        "data.root": str(data),
        "data.size": size,
        "train.seed": seed,
        "train.workers": 0,
        "train.threads": 1,
    }


def take_steps(recipe: Recipe, count: int) -> tuple[Stepper, float]:
    """Take the first `count` steps of a recipe; return its stepper and the CPU seconds of the steps, data included."""
    stepper, dataset = Stepper(recipe), recipe.data(seed=recipe.train.seed)
    streams = {stream: dataset.streams[stream] for stream in stepper.translator.required_streams}
    checked = CheckedDataset(dataset, recipe.data.name, streams)
    loader = make_loader(checked, batch_size=recipe.train.batch_size)
    begin = time.process_time()
    with reading(loader) as batches:
        for batch in islice(batches, count):
            stepper.step(raise_if_error(batch))
    return stepper, time.process_time() - begin


@torch.no_grad()
def translations(stepper: Stepper, images: list[Tensor]) -> list[Tensor]:
    """Translate images [1, C, H, W] to b, with averaged weights if the recipe has any."""
    with stepper.eval_mode() as translator:
        return [translator.translate(image, to="b").image.clamp(-1, 1) for image in images]


def measured(name: str, size: int, data: Path, seed: int, seconds: float, evaluator: Evaluator) -> dict[str, Any]:
    """Train a recipe for a CPU time, and return a row of the table."""
    given = settings(name, size, data, seed)
    _, timed = take_steps(Recipe.read(name, given), TIMED)
    steps = max(1, round(seconds / timed * TIMED))
    recipe = Recipe.read(name, {**given, "train.steps": steps, **shortened(name, steps)})
    stepper, used = take_steps(recipe, steps)
    resized = [load(file, size) for file in files(data / "testA")]
    real = from_arrays(to_pixels(torch.cat([load(file, size) for file in files(data / "testB")])), "testB")
    source = from_arrays(to_pixels(torch.cat(resized)), "testA")
    generated = from_arrays(to_pixels(torch.cat(translations(stepper, resized))), name)
    (figure,) = evaluator.evaluate(generated, real, source).figures
    row = {"recipe": name, "data": data.name, "size": size, "seed": seed, "steps": steps, "cpu_s": round(used)}
    return row | {key: getattr(figure, key) for key in ("name", "value", "low", "high", "floor", "ceiling", "n")}


def shortened(name: str, steps: int) -> dict[str, Any]:
    """Schedules that count epochs of the authors' data need as many of them as there are steps."""
    return {"schedule.epochs": max(2, min(steps, 400))} if name in ("cut", "dclgan") else {}


def files(folder: Path) -> list[Path]:
    """Return the images of a folder in the order of their names."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png"))


def load(file: Path, size: int) -> Tensor:
    """Read an image as [1, 3, size, size] in [-1, 1]."""
    with Image.open(file) as image:
        resized = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return to_tensor(resized).unsqueeze(0)


def main() -> None:
    """Run the table, one row at a time, and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, help="folders with trainA, trainB, testA and testB")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--sizes", nargs="+", type=int, default=(64, 128))
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--minutes", type=float, default=10, help="CPU minutes of each run")
    parser.add_argument("--total", type=float, help="CPU minutes of all runs; later ones are left out")
    parser.add_argument("--features", default="mobilenetv2_100", help="network of the features")
    parser.add_argument("--output", type=Path, help="JSON lines of the rows")
    given = parser.parse_args()
    torch.set_num_threads(1)
    evaluator = Evaluator(Options(features=given.features, metrics=("kid",), use_cache=False))
    runs = [
        (data, size, seed, name)
        for data in given.data
        for size in given.sizes
        for seed in given.seeds
        for name in given.recipes
    ]
    most = len(runs) if given.total is None else int(given.total / given.minutes)
    print("| data | px | recipe | seed | steps | KID (95 % interval) | floor: inputs copied | ceiling: real images |")
    print("|---|---|---|---|---|---|---|---|")
    for data, size, seed, name in runs[:most]:
        row = measured(name, size, data, seed, given.minutes * 60, evaluator)
        kid = f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        ends = f"{row['floor']:.3f} | {row['ceiling']:.3f}"
        print(f"| {data.name} | {size} | `{name}` | {seed} | {row['steps']} | {kid} | {ends} |", flush=True)
        if given.output is not None:
            with given.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    for data, size, seed, name in runs[most:]:
        print(f"left out: {data.name} {size} px {name} seed {seed}")


if __name__ == "__main__":
    main()
