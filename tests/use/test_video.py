"""Clips keep their frames, time stamps, rotation and audio, and translation continues after an interruption."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from i2i.data.clip_files import is_clip
from i2i.errors import DataError, I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use import clips
from i2i.use.clip_writer import ClipWriter
from i2i.use.clips import translate_clip
from i2i.use.flicker import FlickerReduction
from i2i.use.loaded import Loaded
from i2i.use.video import clip_info, read_frames

av = pytest.importorskip("av", reason="needs i2i[video]")

NETWORK = {"translator.generator.channels": 4, "translator.generator.blocks": 1, "data.size": 32}


@pytest.fixture(scope="module")
def model() -> Loaded:
    torch.manual_seed(0)
    recipe = Recipe.read("cyclegan_small", NETWORK)
    return Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 0)


def drawn(count: int, height: int = 48, width: int = 64) -> Iterator[NDArray[np.uint8]]:
    """Frames that are told apart by their red: a moving square on a gradient."""
    for index in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0] = 10 * (index % 25)
        frame[..., 1] = np.linspace(0, 255, width, dtype=np.uint8)
        frame[8:24, 2 * (index % 16) :][:, :16] = 200
        yield frame


def write_all(path: Path, frames: Iterable[NDArray[np.uint8]], rate: float = 25) -> ClipWriter:
    with ClipWriter(path, rate) as writer:
        for pixels in frames:
            writer.write(pixels)
    return writer


def make_clip(path: Path, stamps: list[int], rotation: int = 0, audio: str | None = "aac") -> list[bytes]:
    """Write an H.264 clip with time stamps in units of 1/600 s, and return its audio packets."""
    packets = []
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30, width=64, height=48, pix_fmt="yuv420p")
        video.codec_context.time_base = Fraction(1, 600)
        if rotation:
            video.set_display_rotation(rotation)
        sound = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        for stamp, pixels in zip(stamps, drawn(len(stamps)), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.time_base, frame.pts = Fraction(1, 600), stamp
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound:
            for index in range(48):
                wave = np.sin(np.arange(1024) / 20 + index).astype(np.float32)[None]
                block = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = 48000, index * 1024, Fraction(1, 48000)
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))
    if audio:
        with av.open(str(path)) as container:
            packets = [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]
    return packets


STAMPS = [0, 20, 40, 65, 80, 100, 150, 160, 180, 200, 230, 240]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "gif", "webp", "apng", "png"])
def test_what_is_written_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"new/x.{suffix}"
    writer = write_all(path, drawn(6, 47, 63))
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert is_clip(path)
    frames = list(read_frames(path))
    assert [frame.time for frame in frames] == [Fraction(index, 25) for index in range(6)]
    assert clip_info(path).rate == 25
    even = suffix in ("mp4", "mov", "mkv")
    assert (writer.padded is not None) == even
    assert frames[0].pixels.shape == ((48, 64, 3) if even else (47, 63, 3))
    for frame, pixels in zip(frames, drawn(6, 47, 63), strict=True):
        difference = frame.pixels[:47, :63].astype(int) - pixels
        assert abs(difference.mean()) < 2  # neither range nor rounding shifts the colours
        assert np.abs(difference).mean() < (9 if suffix in ("gif", "webp") else 6)
    assert [frame.time for frame in read_frames(path, start=4)] == [Fraction(4, 25), Fraction(5, 25)]


def test_a_clip_that_fails_is_not_written(tmp_path: Path) -> None:
    expected = "frame 1: expected 64 x 48 pixels like the first frame, got 32 x 32"
    with pytest.raises(I2IError, match=expected):
        write_all(tmp_path / "x.mp4", [*drawn(1), *drawn(1, 32, 32)])
    with pytest.raises(DataError, match="there is no frame to write"), ClipWriter(tmp_path / "x.gif"):
        pass
    with pytest.raises(I2IError, match=r"expected a name that ends in one of \.mp4, "):
        ClipWriter(tmp_path / "x.jpg")
    assert list(tmp_path.iterdir()) == []


def test_hostile_and_damaged_files(tmp_path: Path) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n")
    with pytest.raises(DataError, match=r"list\.mp4: it is no video that FFmpeg can read"):
        clip_info(playlist)
    make_clip(tmp_path / "whole.mkv", STAMPS, audio=None)
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    assert len(list(read_frames(tmp_path / "cut.mkv"))) < len(STAMPS)
    for suffix in ("mp4", "mkv", "gif"):
        write_all(tmp_path / f"whole.{suffix}", drawn(3))
        content, cut = (tmp_path / f"whole.{suffix}").read_bytes(), tmp_path / f"cut.{suffix}"
        for size in range(0, len(content) - 1, len(content) // 30):
            cut.write_bytes(content[:size])
            for read in (clip_info, lambda path: list(read_frames(path))):
                with suppress(DataError):  # and nothing else
                    read(cut)
    with pytest.raises(DataError, match="it does not exist"):
        clip_info(tmp_path / "none.mp4")


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_a_clip_keeps_frames_times_rotation_and_audio(suffix: str, model: Loaded, tmp_path: Path) -> None:
    packets = make_clip(tmp_path / "phone.mp4", STAMPS, rotation=90)
    result = translate_clip(model, tmp_path / "phone.mp4", tmp_path / f"out.{suffix}", batch_size=5)
    assert (result.frames, result.resumed) == (12, 0)
    assert clip_info(tmp_path / "phone.mp4").height == 64  # upright
    translated = list(read_frames(result.path))
    for frame, stamp, source in zip(translated, STAMPS, read_frames(tmp_path / "phone.mp4"), strict=True):
        assert abs(frame.time - Fraction(stamp, 600)) <= (0 if suffix == "mp4" else Fraction(1, 1000))
        image = model.translate(Image.fromarray(source.pixels))
        result_image = Image.fromarray(frame.pixels[: image.height, : image.width])
        difference = np.asarray(image.convert("L"), int) - np.asarray(result_image.convert("L"), int)
        assert np.abs(difference).mean() < 7  # codecs store colours at half the resolution
    with av.open(str(result.path)) as container:
        found = [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]
        codec = container.streams.audio[0].codec_context.name
    if suffix == "webm":
        assert codec == "opus"
        assert result.notes == ["audio encoded again, from aac to opus"]
    else:
        assert found == packets
    assert sorted(path.name for path in tmp_path.iterdir()) == [result.path.name, "phone.mp4"]


def test_an_interrupted_clip_is_resumed(model: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "SEGMENT", 4)
    make_clip(tmp_path / "x.mp4", [20 * index for index in range(14)])
    flicker = {"flicker": FlickerReduction(0.5)}
    whole = translate_clip(
        model, tmp_path / "x.mp4", tmp_path / "whole.png", batch_size=2, flicker=FlickerReduction(0.5)
    )
    run, calls = model.run, []

    def failing(batch: torch.Tensor, to: str, **options: Any) -> Any:
        calls.append(len(batch))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return run(batch, to, **options)

    monkeypatch.setattr(model, "run", failing)
    with pytest.raises(KeyboardInterrupt):
        translate_clip(model, tmp_path / "x.mp4", tmp_path / "y.png", batch_size=2, **flicker)
    assert not (tmp_path / "y.png").exists()
    again = translate_clip(model, tmp_path / "x.mp4", tmp_path / "y.png", batch_size=2, flicker=FlickerReduction(0.5))
    assert (again.frames, again.resumed, whole.resumed) == (14, 10, 0)
    assert sum(calls[:5]) + sum(calls[6:]) == 14  # no frame is translated twice
    for one, other in zip(read_frames(whole.path), read_frames(again.path), strict=True):
        assert one.time == other.time
        assert np.array_equal(one.pixels, other.pixels)
    # Other options start again.
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        translate_clip(model, tmp_path / "x.mp4", tmp_path / "z.mp4", batch_size=2)
    assert translate_clip(model, tmp_path / "x.mp4", tmp_path / "z.mp4", to="a", batch_size=2).resumed == 0


def test_animations_are_translated(model: Loaded, tmp_path: Path) -> None:
    write_all(tmp_path / "x.gif", drawn(5), rate=10)
    result = translate_clip(model, tmp_path / "x.gif", tmp_path / "y.webp")
    assert [frame.time for frame in read_frames(result.path)] == [Fraction(index, 10) for index in range(5)]
    images, durations = [Image.fromarray(pixels) for pixels in drawn(4)], [50, 50, 120, 300]
    images[0].save(tmp_path / "uneven.gif", save_all=True, append_images=images[1:], duration=durations, loop=0)
    for suffix in ("gif", "webp", "apng"):
        result = translate_clip(model, tmp_path / "uneven.gif", tmp_path / f"uneven_b.{suffix}")
        assert [frame.duration * 1000 for frame in read_frames(result.path)] == durations
    make_clip(tmp_path / "x.mp4", STAMPS)
    result = translate_clip(model, tmp_path / "x.mp4", tmp_path / "y.gif")
    assert result.notes == ["audio dropped: .gif holds none"]
    assert len(list(read_frames(result.path))) == 12


def test_flicker_reduction_ghosts_less_than_a_moving_average() -> None:
    """A square moves over a static background; the translation flickers by noise of its own in each frame."""
    draws = torch.Generator().manual_seed(0)
    truth = [torch.full((3, 40, 64), -0.5) for _ in range(12)]
    for index, frame in enumerate(truth):
        frame[:, 10:30, 4 * index : 4 * index + 16] = 0.5
    noisy = [(frame + 0.2 * torch.randn(frame.shape, generator=draws)).clamp(-1, 1) for frame in truth]

    def measured(reduction: FlickerReduction) -> tuple[float, float]:
        results = [reduction(source, frame) for source, frame in zip(truth, noisy, strict=True)]
        still = [(a - b).abs()[:, 32:].mean() for a, b in pairwise(results)]
        trail = [
            (frame - wanted).mean(0)[10:30, 4 * index - 4 : 4 * index].mean()
            for index, (frame, wanted) in enumerate(zip(results, truth, strict=True))
            if index > 1
        ]
        return float(torch.stack(still).mean()), float(torch.stack(trail).mean())

    none, guided, average = (
        measured(FlickerReduction(*options)) for options in ((0.0, 0.1), (0.7, 0.1), (0.7, float("inf")))
    )
    assert guided[0] < 0.5 * none[0]  # much less flicker
    assert guided[1] < 0.2 * average[1]  # and hardly a trail
    with pytest.raises(I2IError, match="strength: expected a number >= 0 and < 1, got 1"):
        FlickerReduction(1)
