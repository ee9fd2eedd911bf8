"""Runs are shared as packages that translate as they do, to the bit, and hold nothing of the user's machine."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import i2i
from i2i.cli import run as run_command
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.errors import CheckpointError, I2IError
from i2i.evaluation.figures import Evaluation, Figure
from i2i.recipe.recipe import Recipe
from i2i.use.hub import upload
from i2i.use.package import write_package


@pytest.fixture
def run(tiny_settings: Mapping[str, object], tmp_path: Path) -> Path:
    """A run with averaged weights that differ from the last ones, a sample grid and figures."""
    recipe = Recipe.read("ugatit_small", {**tiny_settings, "train.ema": {"decay": 0.5}})
    stepper = Stepper(recipe)
    for value in stepper.ema.average.values():  # type: ignore[union-attr]
        value.add_(0.01)
    Run(tmp_path / "run", recipe, stepper, dataset=None).save()
    (tmp_path / "run/samples").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "run/samples/step-0000000.png")
    measured = Evaluation(
        [Figure("kid", "clean-fid", 0.0123, n=20, n_real=20, step=0), Figure("fid", "clean-fid", None)]
    )
    (tmp_path / "run/figures.json").write_text(measured.to_json())
    return tmp_path / "run"


def translated(model: str | Path) -> Any:
    torch.manual_seed(0)
    return i2i.load(model, device="cpu").translate(torch.rand(1, 3, 32, 40) * 2 - 1, to="b")


@pytest.mark.thorough
def test_a_package_has_what_is_needed(run: Path, tmp_path: Path) -> None:
    package = write_package(run, tmp_path / "package", license="CC0-1.0", intended_use="For tests.")
    assert {path.name for path in package.iterdir()} == {
        "README.md", "recipe.toml", "samples.png", "state.json", "translator.safetensors"
    }  # fmt: skip
    assert torch.equal(translated(package), translated(run))
    saved = i2i.load(run, device="cpu", averaged=False)
    assert not torch.equal(translated(package), saved.translate(torch.rand(1, 3, 32, 40), to="b"))
    whole = (run / "checkpoints/step-0000000/translator.safetensors").stat().st_size
    assert (package / "translator.safetensors").stat().st_size < whole  # without discriminators
    card = (package / "README.md").read_text()
    for line in (
        'license: "cc0-1.0"',
        "| kid | 0.0123 | clean-fid | 20 | 0 |",
        "For tests.",
        "![Samples]",
        "images drawn",
    ):
        assert line in card
    assert '"name": "kid (clean-fid, n=20, step 0)", "value": 0.0123' in card
    hub = pytest.importorskip("huggingface_hub")
    read = hub.ModelCard.load(package / "README.md").data
    assert (read.library_name, read.pipeline_tag, read.license) == ("i2i", "image-to-image", "cc0-1.0")
    assert read.eval_results[0].metric_value == 0.0123
    with pytest.raises(I2IError, match="already exists"):
        write_package(run, package)


def test_nothing_of_the_machine_is_shared(run: Path, tmp_path: Path) -> None:
    """Photographs and paths stay where they are."""
    recipe = run / "checkpoints/step-0000000/recipe.toml"
    secret = tmp_path / "secret/photos"
    for path in (secret / "a", secret / "b"):
        path.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(path / "x.png")
    settings = {"data.a": str(secret / "a"), "data.b": str(secret / "b"), "train.ema": "none"}
    small = {"translator.generator.channels": 4, "translator.generator.blocks": 1, "data.size": 32}
    photos = Recipe.read("cyclegan_small", {**small, "data.type": "folders", **settings})
    Run(tmp_path / "photos", photos, Stepper(photos), dataset=None).save()
    shutil.copytree(run / "samples", tmp_path / "photos/samples")
    package = write_package(tmp_path / "photos", tmp_path / "package")
    assert not (package / "samples.png").exists()
    content = b"".join(path.read_bytes() for path in package.iterdir())
    assert str(tmp_path).encode() not in content
    assert b"secret" not in content
    assert b'a = "a"' in content
    agreed = write_package(tmp_path / "photos", tmp_path / "agreed", share_samples=True)
    assert (agreed / "samples.png").exists()
    assert recipe.exists()


@pytest.mark.thorough
def test_archives(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["pack", "run", "out.zip", "--license", "CC0-1.0"]) == 0
    assert capsys.readouterr().out.startswith("out.zip: 0.")
    assert torch.equal(translated("out.zip"), translated(run))
    Image.new("RGB", (40, 40)).save("photo.png")
    assert run_command(["translate", "out.zip", "photo.png", "--output", "made"]) == 0
    assert Path("made/photo.png").exists()
    with zipfile.ZipFile("evil.zip", "w") as file:
        file.writestr("../outside.txt", "x")
        file.writestr("recipe.toml", "")
    with pytest.raises(CheckpointError, match=r"evil\.zip is no package of `i2i pack`: it has no state\.json"):
        i2i.load("evil.zip")
    Path("text.zip").write_text("no archive")
    with pytest.raises(CheckpointError, match=r"text\.zip is damaged or no zip archive"):
        i2i.load("text.zip")
    assert run_command(["pack", "run", "out.tar"]) == 2


@pytest.mark.thorough
def test_push_and_load(
    run: Path, hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["push", "run", "user/portraits", "--license", "CC0-1.0"]) == 0
    assert capsys.readouterr().out.endswith("load it with hf://user/portraits\n")
    assert set(hub.repositories["user/portraits"]) >= {
        "README.md",
        "recipe.toml",
        "state.json",
        "translator.safetensors",
    }
    hub.requests.clear()
    assert torch.equal(translated("hf://user/portraits"), translated(run))
    assert not any("README" in request for request in hub.requests)  # only what is needed
    Image.new("RGB", (40, 40)).save("photo.png")
    assert run_command(["translate", "hf://user/portraits@main", "photo.png", "--output", "made"]) == 0
    assert run_command(["translate", str(run), "photo.png", "--output", "own"]) == 0
    assert Path("made/photo.png").read_bytes() == Path("own/photo.png").read_bytes()
    capsys.readouterr()
    for address, message in {
        "hf://user/none": "error: hf://user/none cannot be downloaded: ",
        "hf://user": "error: expected an address hf://user/name or hf://user/name@revision, got hf:",
    }.items():
        assert run_command(["translate", address, "photo.png"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(message)
        assert said.endswith("it is private and needs `hf auth login`\n") == ("none" in address)
    hub.repositories["user/other"] = {"weights.bin": b"x"}
    with pytest.raises(CheckpointError, match=r"hf://user/other is no model of i2i: it has no recipe\.toml"):
        i2i.load("hf://user/other")
    with pytest.raises(I2IError, match="expected a name such as user/name, got 'portraits'"):
        upload(tmp_path, "portraits")
