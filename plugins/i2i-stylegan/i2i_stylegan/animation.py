"""Write frames as a video, an animated image, or a folder of images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import Tensor

from i2i.data.images import to_image
from i2i.data.writing import write_image
from i2i.errors import I2IError
from i2i.use.clip_writer import ClipWriter


def write_animation(frames: Iterable[Tensor], output: Path, rate: int) -> int:
    """Write frames [C, H, W] in [-1, 1], and return their number.

    Args:
        frames: read one by one.
        output: a file whose suffix `i2i.use.clip_writer.ClipWriter` knows, or a folder of PNG files.
        rate: frames per second.

    Raises:
        I2IError: the suffix is unknown, or the folder holds files already.
    """
    count = 0
    if output.suffix:
        with ClipWriter(output, rate) as clip:
            for count, frame in enumerate(frames, start=1):  # noqa: B007  # the last number is the result
                clip.write(np.asarray(to_image(frame)))
        return count
    if output.is_dir() and any(output.iterdir()):
        raise I2IError(f"{output} is not empty; choose another folder, or a file such as {output.name}.webp")
    for count, frame in enumerate(frames, start=1):
        write_image(to_image(frame), output / f"frame{count:06d}.png")
    return count
