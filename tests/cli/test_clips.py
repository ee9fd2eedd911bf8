"""`i2i translate` reads and writes clips, and folders of frames."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.cli import run
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

pytest.importorskip("av", reason="needs i2i[video]")

from i2i.use.clip_writer import ClipWriter
from i2i.use.video import clip_info, read_frames


@pytest.fixture(scope="module")
def filled(tiny_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a clip, an animation and a folder of frames."""
    folder = tmp_path_factory.mktemp("clips")
    recipe = Recipe.read("ugatit_small", tiny_settings)
    Run(folder / "run", recipe, Stepper(recipe), dataset=None).save()
    pixels = np.random.default_rng(0).integers(0, 255, (5, 40, 48, 3), dtype=np.uint8)
    (folder / "frames").mkdir()
    for name in ("clip.mkv", "moving.gif"):
        with ClipWriter(folder / name, rate=20) as writer:
            for index, frame in enumerate(pixels):
                writer.write(frame)
                Image.fromarray(frame).save(folder / f"frames/{index}.png")
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `filled`, as the working directory."""
    monkeypatch.chdir(shutil.copytree(filled, tmp_path, dirs_exist_ok=True))
    return tmp_path


def test_clips_in_and_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["translate", "run", "clip.mkv", "--output", "out.webm", "--reduce-flicker", "0.5"]) == 0
    assert capsys.readouterr().out == "5 frames translated to b in out.webm\n"
    assert [frame.time for frame in read_frames("out.webm")] == [Fraction(index, 20) for index in range(5)]
    assert run(["translate", "run", "frames", "--output", "out.mp4", "--fps", "12.5", "--size", "33"]) == 0
    assert capsys.readouterr().out == (
        "5 frames translated to b in out.mp4; padded to 40 x 34, since H.264 takes only even sides\n"
    )
    assert clip_info("out.mp4").rate == Fraction(25, 2)
    assert run(["translate", "run", "clip.mkv", "moving.gif", "--output", "out"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["clip.mkv", "moving.gif"]
    assert clip_info("out/moving.gif").frames == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clip.mkv", "--output", "clip.mkv"], "clip.mkv would be overwritten; choose another name for the output"),
        (["clip.mkv", "moving.gif", "--output", "x.mp4"], "--output x.mp4 is one file, but there are 2 inputs"),
        (["clip.mkv", "frames/0.png", "--output", "x"], "frames/0.png is no clip; translate images and clips in sep"),
        (["frames/0.png", "--output", "x.mp4"], "frames/0.png is one image, but --output x.mp4 is a clip"),
        (["clip.mkv", "--output", "x.avi"], "files of the format .avi cannot be written, only .apng, .gif,"),
        (["clip.mkv", "--output", "x.xyz"], "--output x.xyz: files of the format .xyz cannot be written, only .apng,"),
        (["clip.mkv", "--output", "x.mp4", "--heatmap"], "--heatmap is for images; omit it for clips"),
        (["clip.mkv", "--output", "x.mp4", "--fps", "3"], "--fps is for folders of frames; a clip keeps its own"),
        (["none.mp4", "--output", "x.mp4"], "none.mp4 does not exist; give images, clips or folders of images"),
    ],
)
def test_errors(arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["translate", "run", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path("x.mp4").exists()
