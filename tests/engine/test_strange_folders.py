"""A run folder in which something else lies where a run has its files: a sentence, no wait, and no training in vain."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2i.cli import run
from i2i.data.transforms import resize_short_side
from i2i.engine import checkpoint
from i2i.errors import DataError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes, links and devices of POSIX")


def flags(settings: Mapping[str, Any]) -> list[str]:
    return [f"--set={key}={value}" for key, value in settings.items()]


@pytest.fixture(scope="module")
def begun(tiny_settings: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strange") / "run"
    settings = {**tiny_settings, "train.steps": 2, "train.checkpoint_every": 1, "data.type": "shapes"}
    assert run(["train", "ugatit_small", "--output", str(folder), *flags(settings)]) == 0
    return folder


@pytest.fixture
def folder(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def instead(path: Path, put: Callable[[Path], object]) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    put(path)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["translator.safetensors", "optimizer-generator.safetensors", "recipe.toml"])
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_a_checkpoint_of_other_things_than_files_is_damaged(
    name: str, put: Callable[[Path], object], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    instead(checkpoint.listed(folder)[2] / name, put)
    assert checkpoint.find(folder).step == 1
    assert f"{name} is not a regular file; using the checkpoint of step 1" in caplog.text


@pytest.mark.thorough
@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir])
def test_a_log_that_is_no_file_costs_the_log(
    put: Callable[[Path], object], folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    instead(folder / "log.jsonl", put)
    assert run(["train", "--resume", str(folder), "--set=train.steps=3"]) == 0
    assert "log.jsonl is not a regular file, so nothing is logged" in caplog.text
    assert max(checkpoint.listed(folder)) == 3


@pytest.mark.thorough
@pytest.mark.parametrize(
    "put",
    [lambda path: path.symlink_to(path.name), lambda path: path.write_text("x"), lambda path: path.symlink_to("no")],
)
def test_what_is_in_the_way_of_checkpoints_is_told_before_training(
    put: Callable[[Path], object], folder: Path, tiny: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    instead(folder / "checkpoints", put)
    assert run(["train", "ugatit_small", "--output", str(folder), *flags(tiny | {"data.type": "shapes"})]) == 2
    assert "error: cannot write to the run folder" in capsys.readouterr().err
    assert run(["train", "--resume", str(folder)]) == 2
    assert "holds no checkpoint" in capsys.readouterr().err


@pytest.mark.thorough
def test_what_bears_the_name_of_a_part_goes(folder: Path) -> None:
    for name in (".step-0000003.part", ".step-0000001.old"):
        (folder / "checkpoints" / name).write_text("x")
    (folder / "checkpoints" / "step-0000003").write_text("x")
    assert run(["train", "--resume", str(folder), "--set=train.steps=3"]) == 0
    assert max(checkpoint.listed(folder)) == 3
    assert list((folder / "checkpoints").glob(".*")) == []


@pytest.mark.thorough
def test_a_checkpoint_under_another_steps_name_or_of_another_run_is_not_mixed_up(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (checkpoint.listed(folder)[step] for step in (1, 2))
    shutil.copy(first / "translator.safetensors", second / "translator.safetensors")  # of equal size
    assert checkpoint.find(folder).step == 1
    assert "wrong checksum of translator.safetensors; using the checkpoint of step 1" in caplog.text


@pytest.mark.thorough
def test_lines_that_are_none_go_from_the_log(folder: Path) -> None:
    path = folder / "log.jsonl"
    good = path.read_text().splitlines()
    strange = [b"[1]", b"7", b"null", b'{"step": "x", "event": 1}', b"[" * 10**5, b'{"event": "st\xff\xfe\x00']
    path.write_bytes("\n".join(good).encode() + b"\n" + b"\n".join(strange))
    assert run(["train", "--resume", str(folder), "--set=train.steps=3"]) == 0
    assert path.read_text().splitlines()[: len(good)] == good


def test_a_strip_does_not_become_a_image_of_gigabytes() -> None:
    with pytest.raises(DataError, match=r"1 x 60000 pixels would become 256 x 15360000, more than 89478485 in all"):
        resize_short_side(Image.new("RGB", (1, 60000)), 256)
