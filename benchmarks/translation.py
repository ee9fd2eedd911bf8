"""How long one image takes to translate: U-GAT-IT light's generator, 256 px, 64 channels, in CPU time and in turns.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/translation.py
    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/translation.py --official UGATIT-pytorch --compile
    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python benchmarks/translation.py --exports fp32,int8

The first compares with `train.reference`'s operations, the second with the authors' generator, too, the third with
exported ONNX files. The error is the largest difference from the plain image, whose range is [-1, 1], of untrained
weights; `i2i export` prints that of a trained run.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rows import images
from torch import Tensor

from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.methods.assembly import build
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.recipe.recipe import Recipe
from i2i.use.export import export
from i2i.use.export_formats import Precision
from i2i.use.loaded import load

SIZE, CHANNELS = 256, 64


def exported(recipe: Recipe, precision: Precision, folder: Path) -> Callable[[Tensor], Tensor]:
    """Return the translation by an exported file, in one thread."""
    import onnxruntime

    Run(folder / "run", recipe, Stepper(recipe), dataset=None).save()
    path = folder / f"{precision}.onnx"
    export(load(folder / "run", device="cpu"), path, precision=precision)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"image": x.numpy()})[0])


def ways(compiled: bool, official_code: Path | None, exports: list[Any]) -> dict[str, Callable[[Tensor], Tensor]]:
    recipe = Recipe.read("ugatit_light", {"data.size": SIZE, "data.type": "shapes"})
    generator = build(recipe, training=False).eval().get_submodule("generators.b")
    half = copy.deepcopy(generator).to(torch.bfloat16)

    def plain(x: Tensor) -> Tensor:
        with disable_optimizations():
            return generator(x).image

    found = {"plain": plain, "fast": lambda x: generator(x).image, "bf16": lambda x: half(x.bfloat16()).image.float()}
    if compiled:
        fast, faster = (torch.compile(copy.deepcopy(network)) for network in (generator, half))
        found["compiled"] = lambda x: fast(x).image
        found["compiled bf16"] = lambda x: faster(x.bfloat16()).image.float()
    for precision in exports:
        with tempfile.TemporaryDirectory() as folder:
            found[f"ONNX {precision}"] = exported(recipe, precision, Path(folder))
    if official_code is not None:
        sys.path.insert(0, str(official_code))
        official = importlib.import_module("networks").ResnetGenerator(3, 3, CHANNELS, 4, SIZE, True).eval()
        return {"official": lambda x: official(x)[0], **found}
    return found


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--exports", help="ONNX files in fp32, fp16 and int8, with commas")
    parser.add_argument("--official", type=Path, help="a clone of znxlwm/UGATIT-pytorch")
    options = parser.parse_args()
    torch.set_num_threads(1)
    image = images(SIZE)["a"]
    with torch.inference_mode(False):
        found = ways(options.compile, options.official, options.exports.split(",") if options.exports else [])
    made = {name: way(image) for name, way in found.items()}  # compiles, and allocates what later calls use again
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(options.rounds):
        for name, way in found.items():
            began = time.process_time()
            way(image)
            times[name].append(time.process_time() - began)
    first = next(iter(found))
    print(f"| translation | CPU s | {first} / this | largest error |\n|---|---|---|---|")
    for name, seconds in times.items():
        ratios = sorted(one / other for one, other in zip(times[first], seconds, strict=True))
        middle = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        # The authors' weights are other ones.
        error = "" if name == "official" else f"{float((made[name] - made['plain']).abs().max()):.1e}"
        print(f"| {name} | {statistics.median(seconds):.2f} | {middle} | {error} |")


if __name__ == "__main__":
    main()
