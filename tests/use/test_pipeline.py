"""Pipelines: counts and sizes as planned, frames unchanged without stages, resuming, and mistakes before any frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i import STAGE, I2IError
from i2i.core.plugins import default_plugins
from i2i.core.registry import Registry
from i2i.core.stages import ClipShape
from i2i.recipe.source import RecipeError
from i2i.use.clip_writer import ClipWriter
from i2i.use.pipeline import Pipeline
from i2i.use.video import clip_info, read_frames

COUNT = 150


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip without loss whose frames all differ."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    with ClipWriter(path, Fraction(30000, 1001), codec="ffv1") as writer:
        for number in range(COUNT):
            writer.write(np.full((16, 24, 3), number, np.uint8))
    return path


def pipeline(
    tmp_path: Path, source: Path, stages: str, output: str = "out", registry: Registry | None = None
) -> Pipeline:
    file = tmp_path / "chain.toml"
    file.write_text(f'[source]\npath = "{source}"\n{stages}\n[output]\npath = "{tmp_path / output}"\n')
    return Pipeline.read(file, registry=registry)


def images(folder: Path) -> list[np.ndarray[Any, Any]]:
    return [np.array(Image.open(path)) for path in sorted(folder.glob("*.png"))]


@pytest.mark.thorough
def test_without_stages_frames_are_unchanged(clip: Path, tmp_path: Path) -> None:
    chain = pipeline(tmp_path, clip, "")
    assert chain.run() == COUNT
    before = [frame.pixels for frame in read_frames(clip)]
    assert all(np.array_equal(a, b) for a, b in zip(images(tmp_path / "out"), before, strict=True))
    assert not list(tmp_path.glob(".*.parts"))


@pytest.mark.thorough
def test_the_result_is_as_planned(clip: Path, tmp_path: Path) -> None:
    stages = '[[stages]]\ntype = "resize"\nscale = 2\n[[stages]]\ntype = "repeat"\ntimes = 2'
    chain = pipeline(tmp_path, clip, stages, "out.mkv")
    planned = chain.plan()[-1]
    assert planned == ClipShape(48, 32, Fraction(30000, 1001), None)  # Matroska does not say how many frames it holds
    chain.run()
    info = clip_info(tmp_path / "out.mkv")
    assert (info.width, info.height, info.rate) == (48, 32, Fraction(30000, 1001))
    assert sum(1 for _ in read_frames(tmp_path / "out.mkv")) == 2 * COUNT


class Failing:
    """Passes frames on, and fails at one of them as long as a file is there.

    Args:
        flag: the file.
        at: number of the frame.
    """

    seen = 0

    def __init__(self, flag: Path, at: int = 100) -> None:
        self.flag, self.at = Path(flag), at

    def plan(self, shape: ClipShape) -> ClipShape:
        return shape

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        for frame in clip:
            if self.flag.exists() and int(frame[0, 0, 0]) == self.at:
                raise I2IError("interrupted")
            Failing.seen += 1
            yield frame

    def restart(self, index: int) -> tuple[int, int]:
        return index, 0


def test_an_interrupted_pipeline_continues(clip: Path, tmp_path: Path) -> None:
    registry = default_plugins().registry
    registry.add(STAGE, "failing", Failing)
    flag = tmp_path / "flag"
    flag.touch()
    chain = pipeline(tmp_path, clip, f'[[stages]]\ntype = "failing"\nflag = "{flag}"')
    with pytest.raises(I2IError, match="interrupted"):
        chain.run()
    assert not (tmp_path / "out").exists()
    flag.unlink()
    Failing.seen = 0
    assert chain.run() == COUNT
    assert Failing.seen == COUNT - 64  # the first segment was kept
    before = [frame.pixels for frame in read_frames(clip)]
    assert all(np.array_equal(a, b) for a, b in zip(images(tmp_path / "out"), before, strict=True))


def test_mistakes_are_reported_with_their_lines(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        pipeline(tmp_path, clip, '[[stages]]\ntype = "resise"\n[[stages]]\ntype = "repeat"\ntimes = 0\n[outputs]')
    lines = str(caught.value).splitlines()
    assert any("Did you mean 'resize'" in line for line in lines)
    assert any("chain.toml" in line and "times" in line for line in lines)
    assert any("no table 'outputs'" in line for line in lines)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ('[[stages]]\ntype = "translate"\nrun = "nowhere"', "stage 1, translate: .*nowhere"),
        ('[[stages]]\ntype = "resize"', "either a scale"),
    ],
)
def test_a_stage_that_cannot_run_is_named_before_the_first_frame(
    clip: Path, tmp_path: Path, stages: str, message: str
) -> None:
    with pytest.raises(I2IError, match=message):
        pipeline(tmp_path, clip, stages).plan()


def test_a_missing_source_and_an_unknown_format(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(I2IError, match="there is no file"):
        pipeline(tmp_path, tmp_path / "none.mp4", "").plan()
    with pytest.raises(I2IError):
        pipeline(tmp_path, clip, "", "out.xyz").run()
