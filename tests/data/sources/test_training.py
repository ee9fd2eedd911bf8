"""A run on shards, archives and tables equals the run on the same folder bit for bit, killed and resumed too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from written_sources import FileServer, files_of, noise, write_shards, write_tar, write_zip

from i2i.core.hookspecs import hookimpl
from i2i.data.folders import Folders
from i2i.data.listing import list_images
from i2i.data.loader import make_loader, reading
from i2i.data.paired import Paired
from i2i.engine import checkpoint
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe, to_setting


@pytest.fixture
def locations(root: Path, tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The images of `root`, packed in every way."""
    files = files_of(root)
    write_shards(tmp_path / "shards", files)
    packed: dict[str, object] = {
        "tar": write_tar(tmp_path / "x.tar", files),
        "zip": write_zip(tmp_path / "x.zip", files, zipfile.ZIP_DEFLATED),
        "shards": f"{tmp_path}/shards/s-*.tar",
    }
    if find_spec("aiohttp"):
        packed |= {"remote": f"{server.url}/images", "remote tar": f"{server.url}/x.tar"}
    if find_spec("datasets"):
        import datasets

        datasets.disable_progress_bars()
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        splits = {}
        for name in ("trainA", "trainB", "testA", "testB"):
            paths = list_images(root / name).images
            rows = {"image": [{"bytes": path.open("rb").read(), "path": path.name} for path in paths]}
            features = datasets.Features({"image": datasets.Image()})
            splits[name] = datasets.Dataset.from_dict(rows, features=features)
        datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
        packed["table"] = tmp_path / "saved"
    return packed


@pytest.mark.thorough
def test_samples_equal_those_of_the_folder_in_every_process_and_after_a_resume(
    root: Path, locations: dict[str, object]
) -> None:
    folders = Folders(root=root, size=8)
    for kind, location in locations.items():
        packed = Folders(root=location, size=8)  # type: ignore[arg-type]
        for workers, rank in ((0, 0), (0, 1), (2, 1)):  # two processes draw what one draws with twice the batch
            loader = make_loader(packed, batch_size=2, first_sample=8, processes=2, rank=rank, workers=workers)
            with reading(loader) as batches:
                for step in range(3):
                    batch = next(batches)
                    numbers = [8 + (2 * step + rank) * 2 + place for place in range(2)]
                    for domain in "ab":
                        expected = torch.stack([folders[number][domain] for number in numbers])  # type: ignore[misc]
                        assert torch.equal(batch[domain], expected), (kind, workers, rank)
        assert all(torch.equal(packed.preview(2)[domain], folders.preview(2)[domain]) for domain in "ab"), kind
    assert folders.summary[0] == "data.a: 7 images; passed over .txt 1"


def test_a_share_is_held_back_by_name_alone(root: Path, tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "shards", files_of(root))
    for share, count in ((0.25, 2), (0.01, 1), (0.99, 6), (0.0, 0)):
        plain, packed = Folders(root=root, size=8, val=share), Folders(root=shards, size=8, val=share, seed=3)
        held, same = plain.held_out("val"), packed.held_out("val")
        names = [Path(name).name for name in held["a"].names] if share else []
        assert len(names) == count
        assert names == ([Path(name).name for name in same["a"].names] if share else [])
        assert {file.name for (file,) in plain.train["a"].items}.isdisjoint(names)
        assert len(plain.train["a"]) + count == 7
        assert [len(plain.held_out("test")[domain]) for domain in "ab"] == [2, 2]
    half = Folders(root=root, size=8, val=0.3).held_out("val")["a"]
    assert torch.equal(half[0], half[:1][0])
    assert half[0].shape == (3, 8, 8)
    (root / "trainA").rename(tmp_path / "a")
    (root / "trainB").rename(tmp_path / "b")
    for domain in "AB":
        (root / f"test{domain}").rename(root / domain)
    given = Folders(a=tmp_path / "a", b=tmp_path / "b", val=root, size=8)
    assert [len(given.held_out("val")[domain]) for domain in "ab"] == [2, 2]
    assert given.held_out("test") == {}
    for domain in "AB":
        (root / domain).rename(root / f"test{domain}")
    (tmp_path / "a").rename(root / "trainA")
    (tmp_path / "b").rename(root / "trainB")
    assert Folders(root=root, size=8, val=0.25).summary[0] == "data.a: 5 images, 2 for validation; passed over .txt 1"


def test_two_processes_of_a_packed_set_draw_disjoint_items(root: Path, tmp_path: Path) -> None:
    packed = Folders(root=write_tar(tmp_path / "x.tar", files_of(root)), size=8)
    drawn: list[set[int]] = []
    for rank in (0, 1):
        numbers = [number for batch in range(1) for number in range(rank * 3 + 6 * batch, rank * 3 + 6 * batch + 3)]
        drawn.append({packed.train["a"].draw(number, 0, "a", [])[1] for number in numbers})
    assert drawn[0].isdisjoint(drawn[1])
    assert len(drawn[0] | drawn[1]) == 6


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    for number in range(5):
        for domain in "ab":
            path = folder / f"{number:02}.{domain}.png"
            path.parent.mkdir(exist_ok=True)
            noise(number + 10 * (domain == "b")).save(path)
    return folder


def test_pairs_of_a_shard(pairs: Path, tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "pairs.tar", files_of(pairs))
    for domain in "ab":
        (tmp_path / domain).mkdir()
        for number in range(5):
            (tmp_path / domain / f"{number:02}.png").write_bytes((pairs / f"{number:02}.{domain}.png").read_bytes())
    packed, plain = Paired(a=f"{shard}/a", b=f"{shard}/b", size=8), Paired(a=tmp_path / "a", b=tmp_path / "b", size=8)
    for number in range(7):
        assert all(torch.equal(packed[number][domain], plain[number][domain]) for domain in "ab")  # type: ignore[arg-type]


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.find(folder).folder.parent / f"step-{step:07d}" / checkpoint.WEIGHTS)


def settings(location: str | Path, cheap: dict[str, object]) -> dict[str, object]:
    data = {"data.type": "paired", "data.root": str(location), "data.size": 32}
    run = {"train.steps": 4, "train.checkpoint_every": 2, "train.workers": 1}
    return {**{key: value for key, value in cheap.items() if key != "data.count"}, **data, **run}


@pytest.fixture
def sheets(tmp_path: Path) -> Path:
    for number in range(6):
        path = tmp_path / "sheets" / "train" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(number, 80, 40).save(path)
    return tmp_path / "sheets"


class Crash(BaseException):
    """What nothing in the engine handles."""


class CrashHook:
    """Hook that ends a run in the middle of nowhere: nothing is saved after the checkpoint before."""

    @hookimpl
    def step_finished(self, run: Run) -> None:
        if run.step == 3:
            raise Crash


def check_resumes_like(folder: Path, run: Path) -> None:
    """Resume a run that ended after step 3, and compare its end with another run's."""
    assert max(checkpoint.listed(run)) == 2
    train(Recipe.read(run / checkpoint.RECIPE), run, checkpoint.find(run))
    expected, found = weights(folder, 4), weights(run, 4)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


KILLED = """
import os, signal, sys
from i2i.core.hookspecs import hookimpl
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

class Kill:
    @hookimpl
    def step_finished(self, run, terms):
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

train(Recipe.read("pix2pix_small", sys.argv[2:]), sys.argv[1], extras=[Kill()])
"""


@pytest.mark.slow
def test_a_killed_process_too(sheets: Path, tmp_path: Path, cheap: dict[str, object]) -> None:
    location = write_shards(tmp_path / "shards", files_of(sheets))
    train(Recipe.read("pix2pix_small", settings(sheets, cheap)), tmp_path / "folder")
    lines = [to_setting(key, value) for key, value in settings(location, cheap).items()]
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), *lines]
    done = subprocess.run(command, env={**os.environ, "I2I_PLUGINS": ""}, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    check_resumes_like(tmp_path / "folder", tmp_path / "killed")


def test_a_run_on_shards_equals_the_run_on_the_folder_and_resumes_exactly(
    sheets: Path, tmp_path: Path, cheap: dict[str, object]
) -> None:
    location = write_shards(tmp_path / "shards", files_of(sheets))
    train(Recipe.read("pix2pix_small", settings(sheets, cheap)), tmp_path / "folder")
    recipe = Recipe.read("pix2pix_small", settings(location, cheap))
    with pytest.raises(Crash):
        train(recipe, tmp_path / "ended", extras=[CrashHook()])
    check_resumes_like(tmp_path / "folder", tmp_path / "ended")


def test_a_source_that_fails_stops_the_run_and_is_not_taken_for_a_damaged_image(root: Path, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", files_of(root))
    data = Folders(root=path, size=8, cache=0)
    path.write_bytes(path.read_bytes() + bytes(512))
    loader = make_loader(data, batch_size=1)
    with pytest.raises(Exception, match=r"x\.tar has changed since its index was read"), reading(loader) as batches:
        next(batches)
