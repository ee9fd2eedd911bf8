"""Read video clips and animations frame by frame, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from i2i.data.clip_files import ANIMATIONS
from i2i.data.images import find_images, pixel_limit, read_image
from i2i.data.modes import to_rgb
from i2i.errors import DataError, I2IError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Playlists (hls, dash, concat) would read other files and addresses that a hostile file names.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf,nut,ivf,mxf,h264,hevc,mpegvideo,obu"
_ARBITRARY_START = ("mpegts", "mpeg")


class Frame(NamedTuple):
    """One frame of a clip.

    Args:
        pixels: [H, W, 3], upright RGB.
        time: seconds from the start of the clip.
        duration: seconds until the next frame; 0 where the file does not say.
    """

    pixels: NDArray[np.uint8]
    time: Fraction
    duration: Fraction


@dataclass(frozen=True)
class ClipInfo:
    """What a file says about a clip before its frames are read.

    Args:
        width: width of upright frames in pixels.
        height: height of upright frames in pixels.
        rate: frames per second, on average.
        frames: number of frames; None where the file does not say.
        time_base: unit of time stamps in seconds.
        pixel_aspect: width of a pixel divided by its height.
        audio: codecs of the audio streams.
        other: kinds of further streams, such as subtitles.
        animation: whether the file is an animated image.
        last: seconds that the last frame of an animation lasts; None where the file does not say.
    """

    width: int
    height: int
    rate: Fraction
    frames: int | None
    time_base: Fraction
    pixel_aspect: Fraction = Fraction(1)
    audio: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    animation: bool = False
    last: Fraction | None = None


def clip_info(path: str | Path, rate: float = 25) -> ClipInfo:
    """Read size, rate and streams of a clip.

    Args:
        path: a video, an animated GIF, WebP or PNG, or a folder of images, frames in the order of their names.
        rate: frames per second of a folder.

    Raises:
        DataError: the file is no clip, or has too many pixels.
        I2IError: videos need the package `av`.
    """
    path = Path(path)
    if path.is_dir():
        images = find_images(path)
        return ClipInfo(*read_image(images[0]).size, as_rate(rate), len(images), Fraction(1, 90000))
    if path.suffix.lower() in ANIMATIONS:
        with _animation(path) as image:
            durations = [_duration(frame) for frame in ImageSequence.Iterator(image)]
            length = sum(durations)
            average = len(durations) / length if length else Fraction(10)
            return ClipInfo(*image.size, average, len(durations), Fraction(1, 1000), animation=True, last=durations[-1])
    with open_video(path) as (container, stream):
        width, height = stream.width, stream.height
        try:
            frame = next(container.decode(stream), None)
        except (import_av().FFmpegError, ValueError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        if frame is not None and frame.rotation % 180:  # only a decoded frame says how it is to be turned
            width, height = height, width
        return ClipInfo(
            width,
            height,
            stream.average_rate or stream.guessed_rate or Fraction(25),
            stream.frames or None,
            stream.time_base or Fraction(1, 90000),
            stream.sample_aspect_ratio or Fraction(1),
            tuple(audio.codec_context.name for audio in container.streams.audio),
            tuple(other.type for other in container.streams if other.type not in ("audio", "video")),
        )


def read_frames(path: str | Path, start: int = 0, rate: float = 25) -> Iterator[Frame]:
    """Decode the frames of a clip one after the other.

    Frames of phones are turned upright, and transparent pixels of animations are composited over white.

    Args:
        path: a video, an animated GIF, WebP or PNG, or a folder of images, frames in the order of their names.
        start: number of frames to omit at the start.
        rate: frames per second of a folder.

    Yields:
        frame: pixels, time and duration.

    Raises:
        DataError: the file is no clip, is damaged, or has too many pixels.
        I2IError: videos need the package `av`.

    Example:
        >>> for frame in read_frames("clip.mp4"):  # doctest: +SKIP
        ...     print(frame.time, frame.pixels.shape)
        0 (240, 320, 3)
    """
    path = Path(path)
    if path.is_dir():
        return _folder_frames(path, start, as_rate(rate))
    frames = _animation_frames if path.suffix.lower() in ANIMATIONS else _video_frames
    return frames(path, start)


def as_rate(rate: float | Fraction) -> Fraction:
    """Return frames per second exactly, such as 30000/1001 for 29.97."""
    exact = Fraction(rate).limit_denominator(1001)
    if exact <= 0:
        raise I2IError(f"rate: expected a number of frames per second above 0, got {rate}")
    return exact


def _folder_frames(folder: Path, start: int, rate: Fraction) -> Iterator[Frame]:
    images = find_images(folder)
    first = read_image(images[0])
    width, height = first.size
    for index, path in enumerate(images[start:], start):
        image = read_image(path) if index else first
        if image.size != (width, height):
            expected = f"expected {width} x {height} pixels like {images[0].name}"
            raise DataError(f"{path}: {expected}, got {image.width} x {image.height}")
        yield Frame(np.array(image), index / rate, 1 / rate)


def _animation_frames(path: Path, start: int) -> Iterator[Frame]:
    time = Fraction(0)
    with _animation(path) as image:
        for index, frame in enumerate(ImageSequence.Iterator(image)):
            duration = _duration(frame)
            if index >= start:
                yield Frame(np.array(to_rgb(frame)), time, duration)
            time += duration


def _duration(frame: Image.Image) -> Fraction:
    frame.load()  # of a WebP the duration is known afterwards
    return Fraction(frame.info.get("duration", 100)).limit_denominator(100_000) / 1000


@contextmanager
def _animation(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=("GIF", "PNG", "WEBP")) as image:
            _check_pixels(path, *image.size)
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _video_frames(path: Path, start: int) -> Iterator[Frame]:
    with open_video(path) as (container, stream):
        offset, size = start_of(container), (0, 0)
        unit, rate = stream.time_base or Fraction(1, 90000), stream.average_rate or Fraction(25)
        frames = enumerate(container.decode(stream))
        while True:
            index = -1
            try:
                found = next(frames, None)
                if found is None:
                    return
                index, frame = found
            except (import_av().FFmpegError, ValueError) as error:
                raise DataError(f"cannot read {path} after frame {index}: {error}") from error
            size = size if any(size) else (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                frame = frame.reformat(*size)  # some streams change their size
            if index < start:
                continue
            turns = round(frame.rotation / 90) % 4
            array = frame.to_ndarray(format="rgb24", interpolation=exact_conversion())
            pixels: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(array, turns))
            time = frame.pts * unit - offset if frame.pts is not None else index / rate
            yield Frame(pixels, time, (frame.duration or 0) * unit)


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video without following references to other files, and give it with its first video stream.

    Raises:
        DataError: it is no video, or has too many pixels.
        I2IError: the package `av` is missing.
    """
    av = import_av()
    if not path.is_file():
        raise DataError(f"cannot read {path}: it does not exist")
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}
    try:
        container = av.open(str(path), container_options=options)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise DataError(f"cannot read {path}: it is no video that FFmpeg can read ({error})") from error
    with container:
        videos = [
            stream
            for stream in container.streams.video
            if stream.disposition & av.stream.Disposition.attached_pic != av.stream.Disposition.attached_pic
        ]
        if not videos:
            raise DataError(f"cannot read {path}: it has no video stream")
        stream = videos[0]
        if not getattr(stream, "width", 0):  # a file that ends within its header has a stream without a decoder
            raise DataError(f"cannot read {path}: it is damaged or cut short")
        stream.thread_type = "AUTO"
        _check_pixels(path, stream.width, stream.height)
        yield container, stream


def start_of(container: InputContainer) -> Fraction:
    """Return the seconds to subtract from time stamps: the start of a broadcast, which is arbitrary, else 0."""
    if container.format.name in _ARBITRARY_START and container.start_time is not None:
        return Fraction(container.start_time, 1_000_000)
    return Fraction(0)


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > pixel_limit():
        raise DataError(f"cannot read {path}: {width} x {height} pixels are more than the limit of {pixel_limit()}")


def import_av() -> Any:
    """Return the package `av`.

    Raises:
        I2IError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise I2IError("videos need the package av; install i2i[video]") from error
    return av


def exact_conversion() -> Any:
    """Return flags of FFmpeg's colour conversion with which images are not darkened by rounding down."""
    from av.video.reformatter import Interpolation as Flags

    return Flags.BICUBIC | Flags.ACCURATE_RND | Flags.FULL_CHR_H_INT | Flags.FULL_CHR_H_INP | Flags.BITEXACT
