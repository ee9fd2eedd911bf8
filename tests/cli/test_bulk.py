"""Large amounts of images are shared by processes, each is translated once, and a stopped job is continued."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import i2i
from i2i.cli import run
from i2i.data.images import read_image
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded


@pytest.fixture
def folder(tiny_settings: Mapping[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run, an album of 12 images, and two tar archives of 5."""
    recipe = Recipe.read("ugatit_small", dict(tiny_settings))
    Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None).save()
    draws = np.random.default_rng(0)
    (tmp_path / "album/inner").mkdir(parents=True)
    for index in range(12):
        image = Image.fromarray(draws.integers(0, 255, (40, 48, 3), dtype=np.uint8))
        image.save(tmp_path / f"album/{'inner/' * (index % 2)}{index}.png")
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        with tarfile.open(tmp_path / f"shards/{shard}.tar", "w") as archive:
            for index in range(5):
                archive.add(tmp_path / f"album/{index * 2}.png", f"deep/{index}.gif.png")
                label = tarfile.TarInfo(f"deep/{index}.json")
                label.size = 2
                archive.addfile(label, io.BytesIO(b"{}"))
            evil = tarfile.TarInfo("../evil.png")
            archive.addfile(evil)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def share(rank: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(size))


def test_processes_share_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for rank in range(2):
        share(rank, 2, monkeypatch)
        assert run(["translate", "run", "album", "--output", "out"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed == [f"6 translated to b in out (process {rank} of 2)\n" for rank in (1, 2)]
    made = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")}
    assert len(made) == 12
    assert run(["translate", "run", "album", "--output", "out"]) == 0
    assert capsys.readouterr().out == "0 translated to b in out, 6 existed (process 2 of 2)\n"
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert run(["translate", "run", "album", "--output", "out", "--to", "a"]) == 2
    assert "out holds translations with other options or weights" in capsys.readouterr().err


def test_a_stopped_job_is_continued(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, calls = Loaded.run, []

    def failing(self: Loaded, *arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Loaded, "run", failing)
    command = ["translate", "run", "album", "--output", "out", "--skip-existing", "--batch-size", "5"]
    assert run(command) == 130
    assert len(list(Path("out").rglob("*.png"))) == 5
    capsys.readouterr()
    assert run(command) == 0
    assert capsys.readouterr().out == "7 translated to b in out, 5 existed\n"
    assert len(list(Path("out").rglob("*.png"))) == 12


def test_archives_in_and_out(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for rank in range(2):
        share(rank, 2, monkeypatch)
        assert run(["translate", "run", "shards", "--output", "out"]) == 0
    captured = capsys.readouterr()
    assert captured.out.endswith("5 images in 1 archives translated to b in out (process 2 of 2)\n")
    assert "'../evil.png' leads out of the archive" in captured.err
    with tarfile.open("out/1.tar") as archive:
        names = [f"deep/{index}{suffix}" for index in range(5) for suffix in (".gif.png", ".json")]
        assert sorted(archive.getnames()) == names
        member = archive.extractfile("deep/3.gif.png")
        assert member is not None
        found = np.asarray(Image.open(io.BytesIO(member.read())), int)
    expected = np.asarray(i2i.load("run", device="cpu").translate(read_image(Path("album/6.png"))), int)
    assert np.abs(found - expected).max() <= 1  # rounding depends on the batch
    assert run(["translate", "run", "shards", "--output", "out"]) == 0
    assert capsys.readouterr().out == "0 images in 0 archives translated to b in out, 1 existed (process 2 of 2)\n"
    assert run(["translate", "run", "shards", "--output", "shards"]) == 2


@pytest.mark.slow
def test_a_killed_job_of_two_processes_translates_each_image_once(folder: Path) -> None:
    """A thousand images, a kill in between, and the same command again."""
    source = Path("album/0.png").read_bytes()
    for index in range(1000):
        path = folder / f"many/{index % 7}/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "i2i"]
    command += ["translate", "run", "many", "--output", "out"]
    process = subprocess.Popen(command, start_new_session=True)
    out = folder / "out"
    while len(list(out.rglob("[0-9]*.png"))) < 100:
        time.sleep(0.2)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("[0-9]*.png")}
    assert 100 <= len(before) < 1000
    subprocess.run(command, check=True)
    after = {path.relative_to(out): path.stat().st_mtime_ns for path in out.rglob("[0-9]*.png")}
    assert set(after) == {path.relative_to("many") for path in Path("many").rglob("*.png")}
    assert {path.relative_to(out): time for path, time in before.items()}.items() <= after.items()  # none again
