"""Pipelines: a clip goes through several stages, frame by frame, and an interrupted one continues where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2i.core import kinds
from i2i.core.factory import Factory
from i2i.core.plugins import default_plugins
from i2i.core.registry import Registry
from i2i.core.spelling import did_you_mean
from i2i.core.stages import ClipShape, Stage
from i2i.errors import DataError, I2IError
from i2i.recipe.check import Checker
from i2i.recipe.files import read
from i2i.recipe.source import Source
from i2i.use.unfinished import SEGMENT, frames_in, segment_path, segments, unfinished

Pixels = NDArray[np.uint8]
_TABLES = ("source", "stages", "output")
SHIPPED = Path(__file__).parent / "pipelines"
"""Folder of the pipelines that can be run by name."""


class StageError(I2IError):
    """An error of the source or of one stage, which the message names."""


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline.

    Args:
        source: image, clip or folder of frames to read; None where the first stage generates its frames.
        stages: factories of the stages, in their order.
        output: clip to write, or a folder for PNG files.
        values: the whole file as plain values; a pipeline with other ones does not continue this one's work.
    """

    source: Path | None
    stages: tuple[Factory[Stage], ...]
    output: Path
    values: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path, settings: tuple[str, ...] = (), registry: Registry | None = None) -> Pipeline:
        """Read and check a file.

        Args:
            path: TOML with the tables `[source]`, `[[stages]]` and `[output]`, or the name of a shipped pipeline.
            settings: changes, `key=value` each.
            registry: where stages are looked up; that of the process when None.

        Raises:
            RecipeError: everything that is wrong, each problem with its line.
        """
        shipped = SHIPPED / f"{path}.toml"
        source = read(shipped if shipped.is_file() and not Path(path).exists() else Path(path), settings)
        checker = Checker(source, registry or default_plugins().registry)
        for name in source.values:
            if name not in _TABLES:
                checker.report((name,), f"no table {name!r}.{did_you_mean(name, _TABLES)} Tables: {', '.join(_TABLES)}")
        output = _path(source, checker, "output")
        tables = source.values.get("stages", [])
        if not isinstance(tables, list):
            checker.report(("stages",), "expected [[stages]] for each stage, with two brackets")
            tables = []
        stages = [checker.component(one, [kinds.STAGE], ("stages", number)) for number, one in enumerate(tables)]
        for number, stage in enumerate(stages):
            if number and stage is not None and _generates(stage):
                checker.report(("stages", number), f"{stage.name} generates frames itself: it must be the first stage")
        start = None
        if stages and stages[0] is not None and _generates(stages[0]):
            if "source" in source.values:
                checker.report(("source",), f"{stages[0].name} generates frames itself: leave out [source]")
        else:
            start = _path(source, checker, "source")
        problems = [*source.problems, *checker.problems]
        if problems:
            raise source.error(problems)
        found = tuple(stage for stage in stages if stage is not None)
        return cls(start, found, output, source.values)

    def plan(self) -> list[ClipShape]:
        """Return the shape of the source and that after each stage; no frame is computed.

        Raises:
            I2IError: the source cannot be read, or a stage cannot take what it gets; names the stage.
        """
        return self._planned([factory() for factory in self.stages])

    def _planned(self, stages: list[Stage]) -> list[ClipShape]:
        shapes = [ClipShape(0, 0, Fraction(0), 0) if self.source is None else _source_shape(self.source)]
        for number, (factory, stage) in enumerate(zip(self.stages, stages, strict=True), 1):
            try:
                if device := getattr(stage, "device", None):
                    from i2i.use.devices import check_device

                    check_device(device)
                shapes.append(stage.plan(shapes[-1]))
            except I2IError as error:
                raise StageError(f"stage {number}, {factory.name}: {error}") from error
        return shapes

    def run(self, progress: Callable[[Iterator[Pixels], int | None], Iterator[Pixels]] | None = None) -> int:
        """Compute and write all frames; returns their number.

        Finished frames lie without loss in a folder next to the output until it is complete. A second call with the
        same file continues behind them.

        Args:
            progress: wraps the frames, for a progress bar; gets their iterator and their number.

        Raises:
            I2IError: a stage fails, or the output is being written by another process.
        """
        from i2i.data.clip_files import container_of
        from i2i.use.clip_writer import ClipWriter
        from i2i.use.video import read_frames

        stages = [factory() for factory in self.stages]
        shapes = self._planned(stages)
        shape, is_clip = shapes[-1], bool(self.output.suffix)
        if is_clip:
            container_of(self.output)
        if self.source is not None and self.output.resolve() == self.source.resolve():
            raise I2IError(f"output.path: {self.source} would be overwritten; choose another name")
        with unfinished(self.output, self._digest()) as parts:
            done = frames_in(parts)
            rate = shape.rate or Fraction(25)
            frames = self._frames(stages, done)
            if progress is not None:
                frames = progress(frames, None if shape.frames is None else shape.frames - done)
            while batch := list(islice(frames, SEGMENT)):
                path = segment_path(parts, done, len(batch))
                with ClipWriter(path, rate, codec="ffv1", container="nut") as writer:
                    for frame in batch:
                        writer.write(frame)
                done += len(batch)
            if not done:
                raise DataError(f"{self.source or self.stages[0].name}: no frame came out of the pipeline")
            finished = (frame.pixels for path in segments(parts) for frame in read_frames(path))
            if is_clip:
                with ClipWriter(self.output, rate) as writer:
                    for frame in finished:
                        writer.write(frame)
            else:
                _write_images(self.output, finished, parts)
        return done

    def _frames(self, stages: list[Stage], done: int) -> Iterator[Pixels]:
        """Return the frames from number `done` on."""
        from i2i.use.video import read_frames

        first, dropped = done, []
        for stage in reversed(stages):
            first, extra = stage.restart(first)
            dropped.append(extra)
        frames: Iterator[Any]
        if self.source is None:
            frames = iter(())
        elif _is_still(self.source):
            from i2i.data.images import read_image

            frames = iter([np.array(read_image(self.source))][first:])
        else:
            frames = _named("source.path", (frame.pixels for frame in read_frames(self.source, first)))
        for number, (stage, extra) in enumerate(zip(stages, reversed(dropped), strict=True), 1):
            named = _named(f"stage {number}, {self.stages[number - 1].name}", stage.frames(frames))
            frames = islice(named, extra, None)
        return frames

    def _digest(self) -> str:
        status = None if self.source is None else self.source.stat()
        source = status and (status.st_size, status.st_mtime_ns)
        described = json.dumps([self.values, source], sort_keys=True, default=str)
        return hashlib.sha256(described.encode()).hexdigest()


def _named(place: str, frames: Iterator[Pixels]) -> Iterator[Pixels]:
    """Name the place in errors that arise there; those of earlier stages pass through and have their name already."""
    try:
        yield from frames
    except StageError:
        raise
    except I2IError as error:
        raise StageError(f"{place}: {error}") from error


def _generates(stage: Factory[Stage]) -> bool:
    """Return whether a stage takes no frames, as its attribute `generates` says."""
    return bool(getattr(stage.component, "generates", False))


def _path(source: Source, checker: Checker, table: str) -> Path:
    values = source.values.get(table)
    path = values.get("path") if isinstance(values, dict) else None
    if not isinstance(path, str) or not path:
        checker.report((table,), f'expected a table [{table}] with path = "FILE"')
        return Path()
    for key in values if isinstance(values, dict) else ():
        if key != "path":
            checker.report((table, key), f"no key {key!r}; [{table}] has path only")
    return Path(path).expanduser()


def _is_still(path: Path) -> bool:
    from i2i.data.clip_files import is_clip

    return path.is_file() and not is_clip(path)


def _source_shape(path: Path) -> ClipShape:
    if not path.exists():
        raise DataError(f"source.path: there is no file {path}")
    if _is_still(path):
        from i2i.data.images import read_image

        return ClipShape(*read_image(path).size, Fraction(0), 1)
    from i2i.use.video import clip_info

    info = clip_info(path)
    if info.frames == 0:
        raise DataError(f"source.path: {path} holds no frame")
    return ClipShape(info.width, info.height, info.rate, info.frames)


def _write_images(folder: Path, frames: Iterator[Pixels], parts: Path) -> None:
    """Write all images among the unfinished parts, and move them to their folder when none is missing."""
    from PIL import Image

    from i2i.data.writing import write_image

    names = []
    for number, frame in enumerate(frames):
        names.append(f"{number:06}.png")
        write_image(Image.fromarray(frame), parts / names[-1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        os.replace(parts / name, folder / name)
