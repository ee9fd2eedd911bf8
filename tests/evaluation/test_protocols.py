"""Protocols against the figures of the tools that they are named after, on images and numbered weights."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from i2i.data.images import read_image, to_tensor
from i2i.evaluation import pairwise, perceptual
from i2i.evaluation.evaluate import Evaluator, Options
from i2i.evaluation.image_sets import from_folder

# Imported by the tests alone: it takes seconds, and they need the larger set of figures.
installed = importlib.util.find_spec("torch_fidelity") is not None
pytestmark = pytest.mark.skipif(not installed, reason="the extra i2i[evaluate] is not installed")


@pytest.fixture
def official(golden: Path) -> Path:
    folder = golden / "evaluation"
    if not (folder / "sets").is_dir():
        pytest.skip("I2I_GOLDEN is not set: images and numbered weights of the tools' figures are in the larger set")
    return folder


@pytest.fixture
def recipe(official: Path) -> Any:
    spec = importlib.util.spec_from_file_location("recipe", official / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KEYS = {
    "torch-fidelity": "torch_fidelity",
    "pytorch-fid": "pytorch_fid",
    "clean-fid": "clean_fid",
    "ugatit-2019-04": "ugatit_tool",
    "ugatit-2019-08": "ugatit_tool",
}


# The others run two to four times as long, and differ in sizes, estimators and order only.
@pytest.mark.parametrize(
    "protocol", [p if p == "pytorch-fid" else pytest.param(p, marks=pytest.mark.slow) for p in KEYS]
)
def test_figures_are_those_of_the_tool(protocol: str, official: Path, recipe: Any, tmp_path: Path) -> None:
    weights = tmp_path / "inception.safetensors"
    seeds = json.loads((official / "seeds.json").read_text())
    save_file(
        {name: torch.from_numpy(value) for name, value in recipe.inception(seeds["inception_seed"]).items()}, weights
    )
    expected = json.loads((official / "figures.json").read_text())[KEYS[protocol]]
    subset = expected["fake real"]["kid_subset_size"] if protocol == "torch-fidelity" else None
    options = Options(protocol, weights={"inception": weights}, use_cache=False, kid_subset_size=subset)
    evaluator = Evaluator(options)
    fake, real, source = (from_folder(official / "sets" / name) for name in ("fake", "real", "source"))
    first = load_file(official / "features.safetensors")[f"{KEYS[protocol]}.fake.first"]
    found = evaluator.features(fake.subset(range(len(first)), "first"))
    assert (found - first).abs().max() < 2e-4 * first.abs().max()
    mean_only = protocol.startswith("ugatit")
    figures = evaluator.evaluate(fake, real, source if mean_only else None)
    if mean_only:
        year = protocol.removeprefix("ugatit-").replace("-", "_")
        assert figures["mean_kid"].value == pytest.approx(expected[f"mean_kid_{year}"], rel=1e-4)
        for part in ("kid_target", "kid_source"):
            figure = figures[part]
            assert figure.value == pytest.approx(expected[part]["mean"], rel=1e-4)
            assert figure.high == pytest.approx(expected[part]["mean"] + expected[part]["standard_error"], rel=1e-4)
        return
    pair = expected["fake real"]
    assert figures["fid"].value == pytest.approx(pair.get("frechet_inception_distance", pair.get("fid")), rel=1e-4)
    if "kid" in evaluator.protocol.estimators:
        assert figures["kid"].value == pytest.approx(
            pair.get("kernel_inception_distance_mean", pair.get("kid")), rel=1e-4
        )


def test_figures_of_pairs(official: Path, recipe: Any, tmp_path: Path) -> None:
    pytest.importorskip("lpips", reason="the extra i2i[evaluate] is not installed")
    figures = json.loads((official / "pair_figures.json").read_text())
    seed = json.loads((official / "seeds.json").read_text())["lpips_trunk_seed"]
    count = len(figures["lpips.alex"])
    files = [[official / "sets" / name / f"{index:03d}.png" for index in range(count)] for name in ("fake", "real")]
    x, y = (torch.stack([to_tensor(read_image(file)) for file in part]) for part in files)
    for net in ("alex", "vgg", "squeeze"):
        path = tmp_path / f"{net}.safetensors"
        trunk = recipe.trunk(seed, figures[f"lpips.{net}.names"])
        save_file({name: torch.from_numpy(value) for name, value in trunk.items()}, path)
        assert perceptual.LPIPS(path, net)(x, y).tolist() == pytest.approx(figures[f"lpips.{net}"], rel=1e-4)
    assert pairwise.SSIM().each(x, y).tolist() == pytest.approx(figures["ssim.kornia.window11"], rel=1e-4)
    assert pairwise.PSNR().each(x, y).tolist() == pytest.approx(figures["psnr.torchmetrics"], rel=1e-5)
