"""Write video clips and animations frame by frame."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.data.clip_files import container_of
from i2i.errors import DataError, I2IError
from i2i.use.video import as_rate, exact_conversion, import_av

CODECS = {"webm": "libvpx-vp9", "gif": "gif", "webp": "libwebp", "apng": "apng"}
_OPTIONS = {
    "libx264": {"crf": "18", "bf": "0"},  # without B-frames packets are in the order of time, so clips can be joined
    "libvpx-vp9": {"crf": "24", "b": "0", "row-mt": "1", "cpu-used": "4"},
    "libwebp": {"quality": "90"},
    "ffv1": {"level": "3"},
}
_PIXELS = {"libx264": "yuv420p", "libvpx-vp9": "yuv420p", "gif": "pal8", "apng": "rgb24", "ffv1": "bgr0"}
_UNITS = {"gif": Fraction(1, 100), "libwebp": Fraction(1, 1000), "apng": Fraction(1, 1000)}
_BT709 = 1


def even(side: int) -> int:
    """Return the next even number: H.264 takes no odd sides."""
    return side + side % 2


class ClipWriter:
    """Write frames to a video or an animation, which appears under its name once it is complete.

    Use it as a context manager: an exception inside removes what was written. Memory does not grow with the number of
    frames. H.264 takes only even sides: odd ones are
    padded by repeating the last row or column, and `padded` says so.

    Args:
        path: file to write; its suffix chooses the format: .mp4, .m4v, .mov and .mkv (H.264), .webm (VP9), .gif, .webp,
            .apng or .png.
        rate: frames per second, for frames that are written without a time.
        time_base: unit of time stamps in seconds; 1/90000 when None. Animations have the unit of their format.
        pixel_aspect: width of a pixel divided by its height.
        container: FFmpeg's name of the container; from the suffix when None.
        codec: FFmpeg's name of the encoder; the container's usual one when None.
        last: seconds that the last frame of an animation lasts; as long as the one before when None.

    Raises:
        I2IError: the suffix is unknown, or the package `av` is missing.

    Example:
        >>> with ClipWriter("zoom.mp4", rate=30) as clip:  # doctest: +SKIP
        ...     for pixels in frames:  # [H, W, 3] of uint8
        ...         clip.write(pixels)
    """

    def __init__(
        self,
        path: str | Path,
        rate: Fraction | float = 25,
        time_base: Fraction | None = None,
        pixel_aspect: Fraction = Fraction(1),
        container: str | None = None,
        codec: str | None = None,
        last: Fraction | None = None,
    ) -> None:
        self.path = Path(path)
        self.format = container or container_of(self.path)
        self.codec = codec or CODECS.get(self.format, "libx264")
        self.rate = as_rate(rate)
        # The encoders of animations count in the units of their formats.
        self.time_base = _UNITS.get(self.codec, time_base or Fraction(1, 90000))
        self.pixel_aspect = pixel_aspect
        self.last = last
        self.frames = 0
        self.padded: tuple[int, int] | None = None
        self._size: tuple[int, int] | None = None
        self._last = -1
        self._av = import_av()
        self._part = self.path.with_name(f".{self.path.name}.part")

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        options = {"loop": "0"} if self.format in ("gif", "webp") else {"plays": "0"} if self.format == "apng" else {}
        if self.format in ("mp4", "mov"):
            options["movflags"] = "faststart"
        if self.last is not None and self.format in ("gif", "apng"):  # which know no duration of a frame
            options["final_delay"] = str(round(self.last * 100)) if self.format == "gif" else str(self.last)
        self._container = self._av.open(str(self._part), "w", format=self.format, container_options=options)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._size is None:
                raise DataError(f"{self.path}: there is no frame to write")
            if kind is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None:
                os.replace(self._part, self.path)
        finally:
            with suppress(Exception):  # a file without frames cannot be closed in order
                self._container.close()
            self._part.unlink(missing_ok=True)

    def write(self, pixels: NDArray[np.uint8], time: Fraction | None = None, duration: Fraction | None = None) -> None:
        """Encode one frame.

        Args:
            pixels: [H, W, 3], RGB; all frames have one size.
            time: seconds from the start; the number of frames so far divided by `rate` when None.
            duration: seconds until the next frame; 1 / `rate` when None.

        Raises:
            I2IError: the frame has another shape than the first, or does not come later than the one before.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise I2IError(f"expected frames [H, W, 3] of uint8, got {list(pixels.shape)} of {pixels.dtype}")
        height, width = pixels.shape[:2]
        if self._size is None:
            self._open(width, height)
        if (width, height) != self._size:
            raise I2IError(
                f"frame {self.frames}: expected {self._size[0]} x {self._size[1]} pixels like the first frame, "  # type: ignore[index]
                f"got {width} x {height}"
            )
        if self.padded is not None:
            pixels = np.pad(pixels, ((0, self.padded[1] - height), (0, self.padded[0] - width), (0, 0)), mode="edge")
        unit = self.time_base
        stamp = round((self.frames / self.rate if time is None else time) / unit)
        if stamp <= self._last:
            raise I2IError(f"frame {self.frames}: its time {time} is not later than that of the frame before")
        frame = self._frame(pixels)
        frame.time_base, frame.pts = unit, stamp
        frame.duration = max(round((duration or 1 / self.rate) / unit), 1)
        self._container.mux(self._stream.encode(frame))
        self._last, self.frames = stamp, self.frames + 1

    def _open(self, width: int, height: int) -> None:
        """Open the encoder for frames of this size."""
        self._size = width, height
        if self.codec == "libx264" and (width % 2 or height % 2):
            self.padded = even(width), even(height)
        self._stream = self._container.add_stream(self.codec, rate=self.rate, options=_OPTIONS.get(self.codec, {}))
        self._stream.width, self._stream.height = self.padded or self._size
        self._stream.pix_fmt = _PIXELS.get(self.codec, "bgra")
        context = self._stream.codec_context
        context.time_base = self.time_base
        if self.codec == "libwebp":  # otherwise its last frame lasts 1 / rate
            context.flags |= self._av.codec.context.Flags.frame_duration
        if self.pixel_aspect != 1:
            context.sample_aspect_ratio = self.pixel_aspect
        if self._stream.pix_fmt == "yuv420p":
            context.color_primaries = context.color_trc = context.colorspace = context.color_range = _BT709

    def _frame(self, pixels: NDArray[np.uint8]) -> Any:
        """Convert pixels to what the encoder takes."""
        frame_type = self._av.VideoFrame
        if self._stream.pix_fmt == "pal8":
            indexed = Image.fromarray(pixels).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
            colors = np.zeros((256, 4), np.uint8)
            palette = np.array(indexed.getpalette("RGB"), np.uint8).reshape(-1, 3)
            colors[: len(palette), 1:], colors[:, 0] = palette, 255
            return frame_type.from_ndarray((np.asarray(indexed), colors), format="pal8")
        frame = frame_type.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        if self._stream.pix_fmt == "yuv420p":
            return frame.reformat(
                format="yuv420p", dst_colorspace=_BT709, dst_color_range=_BT709, interpolation=exact_conversion()
            )
        return frame.reformat(format=self._stream.pix_fmt)
