"""Pipelines: counts and sizes as planned, frames unchanged without stages, resuming, and mistakes before any frame."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i import STAGE, I2IError, cli
from i2i.core.plugins import default_plugins
from i2i.core.registry import Registry
from i2i.core.stages import ClipShape
from i2i.data import writing
from i2i.recipe.source import RecipeError
from i2i.use.clip_writer import CODECS, ClipWriter
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


def test_without_stages_a_clip_without_loss_is_unchanged(clip: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CODECS, "matroska", "ffv1")
        pipeline(tmp_path, clip, "", "out.mkv").run()
    before, after = (list(read_frames(path)) for path in (clip, tmp_path / "out.mkv"))
    assert all(a.pixels.tobytes() == b.pixels.tobytes() for a, b in zip(before, after, strict=True))
    assert abs(after[-1].time - before[-1].time) < Fraction(1, 1000)
    assert clip_info(tmp_path / "out.mkv").rate == clip_info(clip).rate


class Noise:
    """Generates frames itself.

    Args:
        count: number of frames.
    """

    generates = True

    def __init__(self, count: int = 3) -> None:
        self.count = count

    def plan(self, shape: ClipShape) -> ClipShape:
        assert shape == ClipShape(0, 0, Fraction(0), 0)
        return ClipShape(8, 6, Fraction(10), self.count)

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        assert not list(clip)
        for number in range(self.count):
            yield np.full((6, 8, 3), number, np.uint8)

    def restart(self, index: int) -> tuple[int, int]:
        return 0, index


def test_a_stage_that_generates_frames_needs_no_source(clip: Path, tmp_path: Path) -> None:
    registry = default_plugins().registry
    registry.add(STAGE, "noise", Noise)
    file = tmp_path / "chain.toml"
    file.write_text(
        f'[[stages]]\ntype = "noise"\ncount = 5\n[[stages]]\ntype = "resize"\nscale = 2\n'
        f'[output]\npath = "{tmp_path / "out"}"\n'
    )
    assert Pipeline.read(file).run() == 5
    assert [image[0, 0, 0] for image in images(tmp_path / "out")] == [0, 1, 2, 3, 4]
    with pytest.raises(RecipeError, match="generates frames itself: leave out"):
        pipeline(tmp_path, clip, '[[stages]]\ntype = "noise"')
    with pytest.raises(RecipeError, match="must be the first stage"):
        pipeline(tmp_path, clip, '[[stages]]\ntype = "repeat"\n[[stages]]\ntype = "noise"')


def test_the_shipped_chain_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:  # tests see no plugins: its four stages are not known
        Pipeline.read("chain")
    assert all(f"'{name}'" in str(caught.value) for name in ("sample", "animate", "interpolate", "upscale"))


@pytest.mark.slow
def test_a_process_that_is_killed_continues(clip: Path, tmp_path: Path) -> None:
    """Kill a pipeline of every built-in stage between two frames, and compare with an uninterrupted one."""
    stages = (
        '[[stages]]\ntype = "repeat"\ntimes = 2\n[[stages]]\ntype = "resize"\nwidth = 30\nheight = 20\n'
        '[[stages]]\ntype = "killing"\n'
    )
    registry = default_plugins().registry
    registry.add(STAGE, "killing", Killing)
    assert pipeline(tmp_path, clip, stages, "whole").run() == 2 * COUNT
    program = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_pipeline import STAGE, Killing, Pipeline, default_plugins
        default_plugins().registry.add(STAGE, "killing", Killing)
        Pipeline.read({str(tmp_path / "chain.toml")!r}).run()
        """
    )
    chain = pipeline(tmp_path, clip, stages, "killed")
    environment = os.environ | {"KILL_AT": "200", "I2I_PLUGINS": ""}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert not (tmp_path / "killed").exists()
    Killing.seen = 0
    assert chain.run() == 2 * COUNT
    assert Killing.seen == 2 * COUNT - 192  # three segments of 64 frames were kept
    pairs = zip(images(tmp_path / "killed"), images(tmp_path / "whole"), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


class Killing:
    """Passes frames on, and kills the process at the frame that KILL_AT names."""

    seen = 0

    def plan(self, shape: ClipShape) -> ClipShape:
        return shape

    def frames(self, clip: Iterator[Any]) -> Iterator[Any]:
        for number, frame in enumerate(clip):
            if str(number) == os.environ.get("KILL_AT"):
                os.kill(os.getpid(), signal.SIGKILL)
            Killing.seen += 1
            yield frame

    def restart(self, index: int) -> tuple[int, int]:
        return index, 0


def test_a_full_disk_gets_a_sentence_and_leaves_no_half_file(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline(tmp_path, clip, "", "out.mkv")
    written, write = 0, ClipWriter.write

    def full(self: ClipWriter, *arguments: Any, **options: Any) -> None:
        nonlocal written
        written += 1
        if written > 70:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        write(self, *arguments, **options)

    monkeypatch.setattr(ClipWriter, "write", full)
    assert cli.run(["pipeline", str(tmp_path / "chain.toml")]) == 1
    message = capsys.readouterr().err.strip()
    assert "No space left" in message
    assert "\n" not in message
    assert not (tmp_path / "out.mkv").exists()
    assert [path.name for path in (tmp_path / ".out.mkv.parts").glob("*.nut")] == ["00000000-64.nut"]
    monkeypatch.undo()
    assert cli.run(["pipeline", str(tmp_path / "chain.toml")]) == 0
    assert sum(1 for _ in read_frames(tmp_path / "out.mkv")) == COUNT


def test_a_folder_appears_with_all_of_its_images(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, write, written = pipeline(tmp_path, clip, ""), writing.write_image, 0

    def full(*arguments: Any) -> None:
        nonlocal written
        written += 1
        if written > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(writing, "write_image", full)
    with pytest.raises(OSError, match="No space"):
        chain.run()
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert chain.run() == len(images(tmp_path / "out")) == COUNT


def test_a_folder_without_frames_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(I2IError, match="empty"):
        pipeline(tmp_path, tmp_path / "empty", "").plan()


def test_frames_of_several_sizes_get_a_sentence_with_the_file(tmp_path: Path) -> None:
    for number, width in enumerate((20, 20, 30)):
        Image.new("RGB", (width, 20)).save(tmp_path / f"{number}.png")
    (tmp_path / "frames").mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(tmp_path / "frames" / path.name)
    with pytest.raises(I2IError, match=r"source.path: .*2\.png: expected 20 x 20 pixels like 0\.png, got 30 x 20"):
        pipeline(tmp_path, tmp_path / "frames", '[[stages]]\ntype = "resize"\nscale = 2').run()
    assert not list(tmp_path.glob(".*.parts"))  # nothing was finished, so nothing is left


def test_an_error_within_a_stage_names_the_stage(clip: Path, tmp_path: Path) -> None:
    registry = default_plugins().registry
    registry.add(STAGE, "failing_at_once", Failing)
    flag = tmp_path / "flag"
    flag.touch()
    stages = f'[[stages]]\ntype = "failing_at_once"\nat = 0\nflag = "{flag}"\n[[stages]]\ntype = "repeat"\n'
    with pytest.raises(I2IError, match=r"^stage 1, failing_at_once: interrupted$"):
        pipeline(tmp_path, clip, stages).run()


def test_a_device_that_is_not_there_is_refused_by_the_plan(clip: Path, tmp_path: Path) -> None:
    stages = '[[stages]]\ntype = "translate"\nrun = "none"\ndevice = "gpu"'
    with pytest.raises(I2IError, match="stage 1, translate: device gpu: not available"):
        pipeline(tmp_path, clip, stages).plan()


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
