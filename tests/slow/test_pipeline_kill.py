"""Pipelines that are killed within each stage, and while the output is written, continue and give the same frames.

    python -m pytest -m slow tests/slow/test_pipeline_kill.py

The stages of plugins need i2i-stylegan, i2i-edit, i2i-fomm, i2i-frames, i2i-upscale and i2i-paints.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i import cli
from i2i.core.plugins import default_plugins
from i2i.use.video import read_frames

pytestmark = pytest.mark.slow
PLUGINS = ("stylegan", "edit", "fomm", "frames", "upscale", "paints")
FRAMES, SEGMENT = 7, 2
GAN = ["z_dim=8", "w_dim=8", "channel_base=64", "channel_max=8"]
RUNS = {
    "translate": ("cyclegan_small", ["generator.channels=4"]),
    "stylegan": ("stylegan2_small", [f"generator.{setting}" for setting in GAN]),
    "animate": ("fomm_small", [f"{part}channels=4" for part in ("detector.", "generator.", "generator.motion_")]),
    "interpolate": ("rife_small", ["network.channels=[8, 8, 8]"]),
    "upscale": ("super_resolution_small", ["generator.channels=4"]),
    "colour": ("paints_small", ["generator.channels=2", "discriminators.image.channels=2"]),
}
STAGES = {
    "translate": 'run = "runs/translate"\nbatch_size = 2',
    "sample": 'run = "runs/stylegan"\nseeds = [0, 1]\nframes = 4',
    "edit": f'run = "runs/stylegan"\ndirections = {{ sefa0 = 2.0 }}\nframes = {FRAMES}',
    "animate": 'run = "runs/animate"\ndriving = "clip.gif"',
    "interpolate": 'weights = "runs/interpolate"',
    "upscale": 'weights = "runs/upscale"\nscale = 2',
    "colour": 'run = "runs/colour"',
}
PROGRAM = f"""
import os, signal, sys
from i2i import STAGE, cli
from i2i.core.plugins import default_plugins
from i2i.use import pipeline
from i2i.use.clip_writer import ClipWriter

pipeline.SEGMENT = {SEGMENT}
place, at = sys.argv[1], int(sys.argv[2])
stage = default_plugins().registry.component(STAGE, place)
frames, write = stage.frames, ClipWriter.write

def killed_in_the_stage(self, clip):
    for number, frame in enumerate(frames(self, clip)):
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield frame

def killed_in_the_output(self, *arguments, **options):
    if self.path.suffix == ".mkv" and self.frames == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, *arguments, **options)

if at >= 0:
    stage.frames = killed_in_the_stage
else:
    ClipWriter.write = killed_in_the_output
sys.exit(cli.run(["pipeline", "chain.toml"]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one step, a clip and an image."""
    for name in PLUGINS:
        pytest.importorskip(f"i2i_{name}", reason=f"the plugin i2i-{name} is not installed")
    folder = tmp_path_factory.mktemp("kill")
    loop = ["train.steps=1", "train.batch_size=2", "train.workers=0", "train.sample_every=0"]
    for name, (recipe, settings) in RUNS.items():
        pairs = [part for one in [*(f"translator.{one}" for one in settings), *loop] for part in ("--set", one)]
        assert run("train", recipe, *pairs, "--output", str(folder / "runs" / name), folder=folder) == 0
    assert run("directions", "runs/stylegan", "--method", "sefa", "--count", "1", folder=folder) == 0
    draw_clip(folder)
    return folder


def draw_clip(folder: Path) -> None:
    draws = np.random.Generator(np.random.PCG64(0))
    frames = [Image.fromarray(draws.integers(0, 256, (35, 33, 3), dtype=np.uint8)) for _ in range(FRAMES)]
    frames[0].save(folder / "clip.gif", save_all=True, append_images=frames[1:], duration=100)
    frames[0].save(folder / "image.png")


def run(*arguments: str, folder: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("I2I_PLUGINS", ",".join(PLUGINS))
        patch.chdir(folder)
        default_plugins.cache_clear()
        status = cli.run(list(arguments))
    default_plugins.cache_clear()
    return status


def write_chain(folder: Path, stage: str, options: str, output: str) -> None:
    source = {"sample": None, "edit": None, "animate": "image.png"}.get(stage, "clip.gif")
    table = "" if source is None else f'[source]\npath = "{source}"\n'
    text = f'{table}[[stages]]\ntype = "{stage}"\n{options}\n[output]\npath = "{output}"\n'
    (folder / "chain.toml").write_text(text)


def killed(folder: Path, stage: str, at: int) -> None:
    environment = os.environ | {"I2I_PLUGINS": ",".join(PLUGINS)}
    command = [sys.executable, "-c", PROGRAM, stage, str(at)]
    ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def images(folder: Path) -> list[bytes]:
    return [Image.open(path).tobytes() for path in sorted(folder.glob("*.png"))]


@pytest.mark.parametrize("stage", STAGES)
def test_a_pipeline_that_is_killed_in_a_stage_continues(stage: str, folder: Path) -> None:
    whole, output = folder / f"{stage}_whole", folder / f"{stage}_killed"
    write_chain(folder, stage, STAGES[stage], whole.name)
    assert run("pipeline", "chain.toml", folder=folder) == 0
    write_chain(folder, stage, STAGES[stage], output.name)
    # At the first frames, behind two complete segments, and soon after the work was continued; `at` counts the frames
    # that one process computes.
    for at, kept in ((1, 0), (5, 4), (1, 4)):
        killed(folder, stage, at)
        segments = sorted((folder / f".{output.name}.parts").glob("[0-9]*.nut"))
        assert SEGMENT * len(segments) == kept
        assert not output.exists()
    assert run("pipeline", "chain.toml", folder=folder) == 0
    assert len(images(whole)) >= FRAMES
    assert images(output) == images(whole)
    assert not list(folder.glob(".*.parts"))


def test_a_pipeline_that_is_killed_while_the_output_is_written_continues(tmp_path: Path) -> None:
    draw_clip(tmp_path)
    write_chain(tmp_path, "resize", "scale = 2", "whole.mkv")
    assert run("pipeline", "chain.toml", folder=tmp_path) == 0
    write_chain(tmp_path, "resize", "scale = 2", "killed.mkv")
    killed(tmp_path, "resize", -1)
    assert not (tmp_path / "killed.mkv").exists()
    assert run("pipeline", "chain.toml", folder=tmp_path) == 0
    clips = [
        [frame.pixels.tobytes() for frame in read_frames(tmp_path / f"{name}.mkv")] for name in ("whole", "killed")
    ]
    assert len(clips[0]) == FRAMES
    assert clips[0] == clips[1]
    assert {path.name for path in tmp_path.glob(".*")} == set()
