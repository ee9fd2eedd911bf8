"""The recipe trains, and its run animates an image; clips are read; mistakes get a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from i2i_fomm.sprites import Pose, SpritePairs
from i2i_fomm.video_pairs import VideoPairs
from PIL import Image

from i2i import cli
from i2i.data.images import to_image
from i2i.errors import DataError

TINY = [
    "translator.detector.channels=4",
    "translator.detector.max_channels=8",
    "translator.generator.channels=4",
    "translator.generator.blocks=1",
    "translator.generator.motion_channels=4",
    "translator.generator.motion_max_channels=8",
    "losses.perceptual=none",
    "train.steps=2",
    "train.batch_size=2",
    "train.workers=0",
]


def run(*arguments: object) -> None:
    assert cli.run([str(argument) for argument in arguments]) == 0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of drawn sprites: a folder of frames and an animated GIF."""
    folder, data = tmp_path_factory.mktemp("clips"), SpritePairs(size=32)
    frames = [to_image(data.frame(data.sprite(0), Pose((0.1 * number, 0), -0.3 * number))) for number in range(4)]
    (folder / "first").mkdir()
    for number, frame in enumerate(frames):
        frame.save(folder / "first" / f"{number}.png")
    frames[0].save(folder / "second.gif", save_all=True, append_images=frames[1:], duration=100)
    return folder


def test_a_run_animates_an_image(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [part for setting in TINY for part in ("--set", setting)]
    run("train", "fomm_small", *settings, "--output", tmp_path / "run")
    output = tmp_path / "out.gif"
    for options in ((), ("--absolute",), ("--best-frame", "--adapt-scale")):
        run("animate", tmp_path / "run", clips / "first" / "0.png", clips / "second.gif", "--output", output, *options)
        assert "4 frames" in capsys.readouterr().out
        with Image.open(output) as animated:
            assert (animated.n_frames, animated.size) == (4, (32, 32))

    for same in (clips / "first" / "0.png", clips / "second.gif"):
        command = ["animate", tmp_path / "run", clips / "first" / "0.png", clips / "second.gif", "--output", same]
        assert cli.run([str(argument) for argument in command]) != 0
        assert "would be overwritten" in capsys.readouterr().err

    chain = tmp_path / "chain.toml"
    chain.write_text(
        f'[source]\npath = "{clips / "first" / "0.png"}"\n[[stages]]\ntype = "animate"\nrun = "{tmp_path / "run"}"\n'
        f'driving = "{clips / "second.gif"}"\n[output]\npath = "{tmp_path / "frames"}"\n'
    )
    run("pipeline", chain)
    assert "1. animate: 32 x 32 pixels, 4 frames at 10 per second" in capsys.readouterr().out
    assert len(list((tmp_path / "frames").glob("*.png"))) == 4


def test_clips_give_ordered_or_mirrored_pairs(clips: Path) -> None:
    data = VideoPairs(clips, size=32, seed=3)
    assert len(data.clips) == 2
    for number in range(6):
        sample, again = data[number], data[number]
        for domain in ("source", "driving"):
            assert sample[domain].shape == (3, 32, 32)  # type: ignore[attr-defined]
            assert torch.equal(sample[domain], again[domain])  # type: ignore[arg-type]
    assert {name: tuple(value.shape) for name, value in data.preview(4).items()} == {
        "source": (2, 3, 32, 32),
        "driving": (2, 3, 32, 32),
    }


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "still.png")
    with pytest.raises(DataError, match="holds no clip"):
        VideoPairs(tmp_path)
