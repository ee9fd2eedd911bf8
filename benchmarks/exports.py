"""Export every shipped recipe, small and untrained, to ONNX and compare each file with i2i's own images.

    uv run python benchmarks/exports.py                  # all recipes, about half an hour of one core
    uv run python benchmarks/exports.py dagan pix2pix    # some of them

The comparison is in onnxruntime, at a batch size and an image size that neither the export nor its own proof has seen.
Results go into `docs/exports.json`, which `docs/generate.py` puts into the page; `tests/slow/test_every_export.py`
repeats them. Networks have an eighth of their channels, so that the time goes into the operations and not the products.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from i2i.core.plugins import Plugins
from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.files import read as read_source
from i2i.recipe.files import shipped
from i2i.recipe.recipe import Recipe
from i2i.use.export import Exported, export, switch_off_dropout
from i2i.use.loaded import Loaded

RECORD = Path(__file__).parents[1] / "docs" / "exports.json"
DEPTHS = ("blocks", "residual_blocks")
"""Options that say how many blocks of one kind follow each other."""
HALVING = ("fomm_keypoints",)
"""Networks whose blocks halve the size, so that their number decides which sizes are legal."""
WIDTHS = (
    "channels",
    "max_channels",
    "motion_channels",
    "motion_max_channels",
    "mlp_channels",
    "channel_base",
    "channel_max",
    "features",
    "width",
)
"""Options that say how many channels or features networks have."""
WHOLE = (
    "fomm_small",
    "pggan",
    "pggan_small",
    "stylegan1",
    "stylegan2",
    "stylegan2_ada",
    "twingan_conditioned_small",
)
"""Recipes that keep their widths: some of FOMM's follow from numbers that others do not know; the norms of the others
would divide by the few features of a narrow network, which are nearly 0 at some pixels, and magnify any rounding."""
RGB = 0.5
"""Root mean square of images from -1 to 1: photographs have about 0.5, a StyleGAN with random weights 1.2 to 1.7."""
TOLERANCE = 1e-5
"""Largest error at an unseen size."""


@cache
def plugins() -> Plugins:
    """Return all installed plugins."""
    return Plugins()


def recipes() -> list[str]:
    """Return the names of all shipped recipes."""
    return sorted(shipped(plugins().recipe_folders()))


def narrow(table: dict[str, Any], path: str) -> dict[str, Any]:
    """Return settings that divide the widths inside a table of a recipe by 8, and leave two blocks of a kind."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= narrow(value, f"{path}.{key}")
        elif key in WIDTHS and isinstance(value, int) and value > 16:
            least = table.get(key.replace("max_", ""), 8)  # a largest width is not below the first one, which stays
            found[f"{path}.{key}"] = max(8, value // 8, least if least <= 16 else 8)
        elif key in DEPTHS and isinstance(value, int) and value > 2 and table.get("type") not in HALVING:
            found[f"{path}.{key}"] = 2
    return found


def lines(settings: dict[str, Any]) -> list[str]:
    """Return settings as a command line has them."""
    return [f"{key}={value}" for key, value in settings.items()]


def small(name: str) -> Loaded:
    """Build a recipe's translator with few channels and random weights, as if it had been trained and loaded."""
    folders, registry = plugins().recipe_folders(), plugins().registry
    whole = Recipe.check(read_source(name, [], folders), registry)
    narrowed = {} if name in WHOLE else narrow(whole.translator.resolved(), "translator")
    as_deep = {key: value for key, value in narrowed.items() if key.rpartition(".")[2] not in DEPTHS}
    torch.manual_seed(0)
    for settings in (narrowed, as_deep, {}):  # losses may look into a block that is not there; groups may not divide
        try:
            recipe = Recipe.check(read_source(name, lines(settings), folders), registry)
            translator: Any = build(recipe, training=False)
            break
        except I2IError:
            if not settings:
                raise
    translator.eval().requires_grad_(False)
    translator.at_step_(recipe.train.steps)  # networks that grow have their largest size at the end
    if recipe.translator.name == "line_coloring":
        # Otherwise its YUV would be far outside of 0 to 255, and rounded coarsely.
        translator.generator.dc0.weight.mul_(0.01)
    if recipe.translator.name in ("stylegan", "stylegan2"):
        # Else half of all values would lie far outside of -1 to 1, and be cut off after their rounding.
        scale_rgb(translator.generator)
    return Loaded(recipe, translator, recipe.train.steps)


def scale_rgb(generator: Any) -> None:
    """Scale the conversions to RGB of a StyleGAN so that its images have the mean square of photographs."""
    image = generator(torch.randn(8, generator.z_dim), noise="const")
    for name, layer in generator.synthesis.named_modules():
        if name.endswith("torgb") or name.startswith("to_rgb."):
            layer.weight.mul_(RGB / image.square().mean().sqrt())


def unseen(session: onnxruntime.InferenceSession, exported: Exported, model: Loaded) -> dict[str, Tensor]:
    """Return inputs of a batch and a size that the export has not used, where the file leaves them free."""
    multiple = exported.multiple
    least, more, most = (6, 3, 5) if multiple < 64 else (1, 1, 2)
    side = -(-max(model.smallest_size, least * multiple) // multiple) * multiple
    free = dict(zip((2, 3), exported.size or (side + most * multiple, side + more * multiple), strict=True))
    draws = torch.Generator().manual_seed(7)
    found = {}
    for given in session.get_inputs():
        free[0] = (exported.batch or 5) if given.name == "image" else 1
        shape = [size if isinstance(size, int) else free[axis] for axis, size in enumerate(given.shape)]
        integer = given.type == "tensor(int64)"
        found[given.name] = (
            torch.ones(shape, dtype=torch.int64) if integer else torch.rand(*shape, generator=draws) * 2 - 1
        )
    return found


def compare(name: str, folder: Path) -> dict[str, Any]:
    """Export a recipe and compare the file; return what the documentation tells about it.

    Raises:
        AssertionError: the file computes other images.
    """
    model = small(name)
    translator: Any = model.translator
    to = translator.targets[-1] if translator.targets else "b"
    dropout = switch_off_dropout(model.translator)
    try:
        exported = export(model, folder / "exported.onnx", to=to, without_dropout=dropout)
    except I2IError as error:
        return {"refused": str(error).removeprefix("export: ")}
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    if translator.targets:
        inputs = unseen(session, exported, model)
        conditions = {key: value for key, value in inputs.items() if key != "image"}
        with torch.no_grad():  # not by `model.run`, which crops what super-resolution enlarges
            expected = translator.translate(inputs["image"], to, **conditions).image
    else:
        seeds = range(40, 45)
        with torch.no_grad():
            inputs, expected = translator.sample_inputs(seeds), model.sample(5, seed=40)
    (found,) = session.run(["translation"], {key: value.numpy() for key, value in inputs.items()})
    error = float((torch.from_numpy(found) - expected).abs().max() / expected.abs().max())
    assert found.shape == expected.shape
    assert expected.std() > 1e-4, f"{name}: a constant image shows nothing"
    assert error <= TOLERANCE, f"{name}: the file differs by {error:.1e}"
    image = inputs.get("image", expected)
    return {
        "inputs": list(exported.inputs),
        "sizes": "fixed" if exported.size else f"multiples of {exported.multiple}",
        "compared": f"{image.shape[0]} of {image.shape[3]} x {image.shape[2]}",
        "error": float(f"{max(error, exported.error):.1e}"),
        "dropout": exported.dropout,
        "noise": exported.noise,
    }


def main() -> None:
    """Compare the named recipes, or all, and write each result at once."""
    torch.set_num_threads(1)
    for logger in ("onnxscript", "onnx_ir", "torch.onnx"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    for name in sys.argv[1:] or recipes():
        begin = time.process_time()
        try:
            with tempfile.TemporaryDirectory() as folder:
                result = compare(name, Path(folder))
        except Exception as error:  # the others are compared all the same
            print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
            continue
        record = json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else {}
        RECORD.write_text(json.dumps(record | {name: result}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{name}: {result}, {time.process_time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
