"""Translate clips frame by frame: work that was interrupted is resumed, and audio is kept."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from i2i.data.clip_files import VIDEOS, container_of
from i2i.data.images import to_image
from i2i.errors import DataError, I2IError
from i2i.use.clip_writer import CODECS, ClipWriter
from i2i.use.digest import digest_of
from i2i.use.flicker import FlickerReduction
from i2i.use.loaded import Loaded, Size
from i2i.use.unfinished import SEGMENT, frames_in, segment_path, unfinished
from i2i.use.unfinished import segments as segments_in
from i2i.use.video import (
    ClipInfo,
    Frame,
    clip_info,
    import_av,
    open_video,
    read_frames,
    start_of,
)

AUDIO = {"webm": "libopus", "matroska": "libopus"}
"""Encoders for audio that a container cannot hold; AAC for the others."""


@dataclass
class TranslatedClip:
    """What was written.

    Args:
        path: the translated clip.
        frames: number of its frames.
        resumed: how many of them an earlier, interrupted call had translated.
        notes: what is not as in the source, one phrase each, such as audio that was encoded again.
    """

    path: Path
    frames: int
    resumed: int
    notes: list[str] = field(default_factory=list)


def translate_clip(
    loaded: Loaded,
    source: str | Path,
    target: str | Path,
    to: str = "b",
    *,
    size: Size = None,
    batch_size: int = 4,
    tile: int | None = None,
    flicker: FlickerReduction | None = None,
    rate: float = 25,
    condition: Mapping[str, Any] | None = None,
    progress: Callable[[Iterator[Frame], int | None], Iterator[Frame]] | None = None,
) -> TranslatedClip:
    """Translate a video or an animation into another file, with its time stamps and its audio.

    Frames are translated and encoded in segments of 64, which lie in a folder next to the target until the clip is
    complete. A second call with the same arguments continues after the last translated frame; a call with others starts
    again. Memory does not depend on the length of the clip.

    Args:
        loaded: the trained translator.
        source: a video, an animated image, or a folder of images, frames in the order of their names.
        target: file to write; its suffix chooses the format.
        to: domain to translate to.
        size: length of the shorter side of the frames in pixels, or "original"; the recipe's size when None.
        batch_size: frames that are translated together.
        tile: side in pixels of the windows in which larger frames are translated.
        flicker: reduction of flicker between frames; none when None.
        rate: frames per second of a folder of images.
        condition: further inputs of the translator, such as a style.
        progress: wraps the frames that are read, for a progress bar; gets their iterator and their number.

    Raises:
        DataError: the source cannot be read.
        I2IError: the target cannot be written, or is being written by another process.
    """
    source, target, condition = Path(source), Path(target), dict(condition or {})
    container_of(target)
    if target.exists() and target.resolve() == source.resolve():
        raise I2IError(f"{source} would be overwritten; choose another name for the output")
    loaded.check(to, condition)
    loaded.check_size(size)
    info = clip_info(source, rate)
    file, mixing = source.stat(), flicker and (flicker.strength, flicker.threshold)
    unchanged = file.st_size, file.st_mtime_ns
    job = digest_of(loaded, unchanged, target.suffix, to, size, batch_size, tile, rate, mixing, condition)
    with unfinished(target, job) as parts:
        segments = _Segments(parts, target, info, flicker)
        resumed = segments.frames
        frames: Iterator[Frame] = read_frames(source, resumed, rate)
        if progress is not None:
            frames = progress(frames, None if info.frames is None else info.frames - resumed)
        batch_size = 1 if loaded.constraints.batch_dependent else batch_size
        with segments:
            while batch := list(islice(frames, batch_size)):
                prepared = torch.stack(
                    [loaded.prepare(Image.fromarray(frame.pixels), size, loaded.source_of(to)) for frame in batch]
                )
                translated = loaded.run(prepared, to, tile=tile, **condition).image.float().cpu()
                for frame, before, after in zip(batch, prepared, translated, strict=True):
                    segments.write(frame, after if flicker is None else flicker(before, after))
        notes = join_clip(segments_in(parts), target, source, info)
        return TranslatedClip(target, segments.frames, resumed, segments.notes() + notes)


class _Segments:
    """The translated frames of an unfinished clip, in files of up to 64 frames.

    Args:
        folder: folder of the files.
        target: file that will be made of them.
        info: description of the source.
        flicker: its state after the last frame is stored, too.
    """

    def __init__(self, folder: Path, target: Path, info: ClipInfo, flicker: FlickerReduction | None) -> None:
        self.folder, self.target, self.info, self.flicker = folder, target, info, flicker
        self.container = container_of(target)
        self._writer: ClipWriter | None = None
        self._padded: tuple[int, int] | None = None
        self._last: Fraction | None = None
        self._moved = 0
        self.frames = frames_in(folder)
        if self.frames and flicker is not None:
            state = load_file(folder / f"{self.frames:08}.safetensors")
            flicker.previous = state["source"], state["result"]

    def __enter__(self) -> _Segments:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Frames that were translated before an error or an interruption are kept.
        self._close()

    def write(self, frame: Frame, image: Tensor) -> None:
        """Encode one translated frame [3, H, W] in [-1, 1]."""
        if self._writer is None:
            name = self.folder / ".segment.nut"
            # Encoded animations cannot be joined, so their frames are stored without loss and encoded at the end.
            codec = CODECS.get(self.container, "libx264") if self.container in VIDEOS.values() else "ffv1"
            info = self.info
            self._writer = ClipWriter(name, info.rate, info.time_base, info.pixel_aspect, "nut", codec)
            self._writer.__enter__()
        time = frame.time
        if self._last is not None and time <= self._last:  # some files repeat a time stamp, which no encoder takes
            time, self._moved = self._last + self._writer.time_base, self._moved + 1
        self._last = time
        self._writer.write(np.asarray(to_image(image)), time, frame.duration or None)
        self._padded = self._writer.padded
        if self._writer.frames == SEGMENT:
            self._close()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None or not writer.frames:
            return
        writer.__exit__(None)
        done = self.frames + writer.frames
        if self.flicker is not None and self.flicker.previous is not None:
            state = dict(zip(("source", "result"), self.flicker.previous, strict=True))
            save_file(
                {name: value.contiguous() for name, value in state.items()}, self.folder / f"{done:08}.safetensors"
            )
        os.replace(writer.path, segment_path(self.folder, self.frames, writer.frames))
        self.frames = done

    def notes(self) -> list[str]:
        """Return what the encoder changed."""
        notes = []
        if self._padded is not None:
            notes.append(f"padded to {self._padded[0]} x {self._padded[1]}, since H.264 takes only even sides")
        if self._moved:
            notes.append(f"{self._moved} time stamps were not later than the one before, and were moved")
        return notes


def join_clip(files: list[Path], target: Path, source: Path, info: ClipInfo) -> list[str]:
    """Join segments to one clip and add the audio of the source.

    Args:
        files: the segments, in order.
        target: file to write.
        source: clip that holds the audio.
        info: its description.

    Returns:
        notes: what is not as in the source.

    Raises:
        DataError: there are no segments.
    """
    if not files:
        raise DataError(f"cannot read {source}: it has no frame")
    if target.suffix.lower() not in VIDEOS:
        frames = (frame for file in files for frame in read_frames(file))
        with ClipWriter(target, info.rate, last=info.last) as writer:
            start = None
            for number, frame in enumerate(frames, 1):
                start = frame.time if start is None else start
                duration = (number == info.frames and info.last) or frame.duration  # segments do not store the last one
                writer.write(frame.pixels, frame.time - start, duration or None)
        dropped = [*(["audio"] if info.audio else []), *info.other]
        return [f"{kind} dropped: {target.suffix} holds none" for kind in dict.fromkeys(dropped)]
    av = import_av()
    part = target.with_name(f".{target.name}.part")
    notes = [f"{kind} dropped" for kind in dict.fromkeys(info.other)]
    # AAC begins before 0; shifted to 0, which Matroska does by default, it would delay the video.
    options = {"movflags": "faststart"} if container_of(target) in ("mp4", "mov") else {"avoid_negative_ts": "disabled"}
    try:
        with ExitStack() as stack:
            output = stack.enter_context(
                av.open(str(part), "w", format=container_of(target), container_options=options)
            )
            first = stack.enter_context(av.open(str(files[0])))
            streams = [_copied(files, output.add_stream_from_template(first.streams.video[0]))]
            for index, codec in enumerate(info.audio):
                container, _ = stack.enter_context(open_video(source))
                audio = container.streams.audio[index]
                try:
                    copy = output.add_stream_from_template(audio)
                    streams.append(_copied_audio(container, audio, copy))
                except ValueError:
                    encoder = AUDIO.get(container_of(target), "aac")
                    notes.append(f"audio encoded again, from {codec} to {encoder.removeprefix('lib')}")
                    again = output.add_stream(encoder, rate=48000)
                    streams.append(_encoded_audio(container, audio, again))
            for packet in heapq.merge(*streams, key=lambda packet: packet.dts * packet.time_base):
                output.mux_one(packet)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return notes


def _copied(files: list[Path], output: Any) -> Iterator[Any]:
    """Yield the video packets of all segments, whose time stamps continue from one to the next."""
    for file in files:
        with import_av().open(str(file)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = output
                    yield packet


def _copied_audio(container: Any, audio: Any, output: Any) -> Iterator[Any]:
    start = start_of(container)
    for packet in container.demux(audio):
        if packet.dts is not None:
            shift = round(start / packet.time_base)
            packet.dts, packet.pts = packet.dts - shift, packet.pts - shift
            packet.stream = output
            yield packet


def _encoded_audio(container: Any, audio: Any, output: Any) -> Iterator[Any]:
    av, context = import_av(), output.codec_context
    context.layout = "mono" if audio.codec_context.layout.nb_channels == 1 else "stereo"
    context.open()
    resampler = av.AudioResampler(context.format, context.layout, context.rate, context.frame_size)
    start = start_of(container)
    for frame in container.decode(audio):
        if frame.pts is not None:
            frame.pts -= round(start / frame.time_base)
        for part in resampler.resample(frame):
            yield from output.encode(part)
    for part in resampler.resample(None):
        yield from output.encode(part)
    yield from output.encode(None)
