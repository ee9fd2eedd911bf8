"""Large amounts of images in `i2i translate`: shared by the processes of torchrun, and continued after a stop."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

import click

from i2i.cli.jobs import WRITABLE, Job
from i2i.errors import DataError, I2IError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

    from i2i.use.loaded import Loaded

MARK = ".i2i-translate.json"
COUNTS = ".i2i-progress"
Item = TypeVar("Item")


class Work:
    """The share of this process in the work of all.

    Args:
        output: folder of the results.
        skip: whether images whose translation exists are omitted; None: where torchrun started several processes.
    """

    def __init__(self, output: Path, skip: bool | None) -> None:
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.output = output
        self.skip = self.size > 1 if skip is None else skip
        self.existing = self.total = 0
        self._written = 0.0
        self._reported = time.monotonic()

    def device(self, name: str | None) -> str | None:
        """Return the device of this process: each has its own GPU where there are several."""
        if name is None and self.size > 1:
            import torch

            if torch.cuda.is_available():
                return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
        return name

    def select(self, items: Sequence[Item], digest: str, exists: Callable[[Item], bool]) -> list[Item]:
        """Return the items that this process is to do.

        Args:
            items: all items, in the order that all processes have.
            digest: of the model and the options; results of another work are not mixed with these.
            exists: whether the results of an item exist.

        Raises:
            I2IError: the folder holds results of other options or weights.
        """
        self.total = len(items)
        mine = list(items[self.rank :: self.size])
        if not self.skip:
            return mine
        mark = self.output / MARK
        if mark.is_file() and mark.read_text(encoding="utf-8") != json.dumps(digest):
            raise I2IError(
                f"{self.output} holds translations with other options or weights; choose another --output, or "
                f"--overwrite"
            )
        self.output.mkdir(parents=True, exist_ok=True)
        part = self.output / f"{MARK}.{self.rank}.part"
        part.write_text(json.dumps(digest), encoding="utf-8")
        os.replace(part, mark)
        left = [item for item in mine if not exists(item)]
        self.existing = len(mine) - len(left)
        return left

    def count(self, done: int) -> None:
        """Tell the other processes how many items are done here, and print the sum of all from time to time."""
        now = time.monotonic()
        if self.size == 1 or now - self._written < 1:
            return
        self._written = now
        folder = self.output / COUNTS
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{self.rank}.part"
        part.write_text(str(self.existing + done), encoding="utf-8")
        os.replace(part, folder / str(self.rank))
        if self.rank == 0 and now - self._reported > 5:
            self._reported = now
            counts = [
                int((folder / str(rank)).read_text()) for rank in range(self.size) if (folder / str(rank)).is_file()
            ]
            click.echo(f"{sum(counts)} of {self.total} by {self.size} processes", err=True)

    def closed(self) -> str:
        """Remove what `count` wrote, and return what is to be said of this process in the final line."""
        (self.output / COUNTS / str(self.rank)).unlink(missing_ok=True)
        if (self.output / COUNTS).is_dir() and not any((self.output / COUNTS).iterdir()):
            (self.output / COUNTS).rmdir()
        existed = f", {self.existing} existed" if self.existing else ""
        return existed + (f" (process {self.rank + 1} of {self.size})" if self.size > 1 else "")


def results_exist(job: Job, marks: Iterable[str]) -> bool:
    """Whether all translations of an image exist."""
    return all(job.marked(mark).is_file() for mark in marks)


def concerns_shards(inputs: Sequence[Path]) -> bool:
    """Whether the inputs are tar archives, or folders of them."""
    return any(path.suffix == ".tar" or (path.is_dir() and any(path.glob("*.tar"))) for path in inputs)


@dataclass(frozen=True)
class _Entry:
    """An image of an archive."""

    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        return io.BytesIO(self.content)

    def __str__(self) -> str:
        return self.name


def translate_shards(
    loaded: Loaded,
    inputs: Sequence[Path],
    work: Work,
    domain: str,
    size: Any,
    batch_size: int,
    tile: int | None,
    condition: dict[str, Any],
) -> None:
    """Translate the images of tar archives into archives of the same names, whole archives shared by the processes.

    Files that are no images, such as labels, are copied. An archive appears under its name once it is complete.

    Args:
        loaded: the model.
        inputs: archives, and folders of archives.
        work: the share of this process, and the folder of the results.
        domain: domain to translate to.
        size: length of the shorter side.
        batch_size: images of one size that are translated together.
        tile: side of windows.
        condition: further inputs of the translator.

    Raises:
        I2IError: archives have the same name, or none can be read.
    """
    from i2i.use.digest import digest_of

    shards = [shard for path in inputs for shard in (sorted(path.glob("*.tar")) if path.is_dir() else [path])]
    targets = {shard: work.output / shard.name for shard in shards}
    if len(set(targets.values())) < len(shards):
        raise I2IError("two archives have the same name; translate them into separate folders")
    if overwritten := [shard for shard, target in targets.items() if target.resolve() == shard.resolve()]:
        raise I2IError(f"{overwritten[0]} would be overwritten; choose another --output")
    mine = work.select(shards, digest_of(loaded, domain, size, tile, condition), lambda shard: targets[shard].is_file())
    images = 0
    for number, shard in enumerate(mine):
        images += _translate_shard(loaded, shard, targets[shard], domain, size, batch_size, tile, condition)
        work.count(number + 1)
    click.echo(f"{images} images in {len(mine)} archives translated to {domain} in {work.output}{work.closed()}")


def _translate_shard(
    loaded: Loaded,
    shard: Path,
    target: Path,
    domain: str,
    size: Any,
    batch_size: int,
    tile: int | None,
    condition: dict[str, Any],
) -> int:
    import torch

    from i2i.data.decoding import SUFFIXES
    from i2i.data.images import read_image, to_image

    target.parent.mkdir(parents=True, exist_ok=True)
    part, count = target.with_name(f".{target.name}.part"), 0

    def prepared(source: tarfile.TarFile, output: tarfile.TarFile) -> Iterator[tuple[str, Tensor]]:
        for member in source:
            name = PurePosixPath(member.name)
            if not member.isfile():
                continue
            if name.is_absolute() or ".." in name.parts:
                click.echo(f"skipped: {shard}: {member.name!r} leads out of the archive", err=True)
                continue
            file = source.extractfile(member)
            content = file.read() if file is not None else b""
            if name.suffix.lower() not in SUFFIXES:
                _add(output, member.name, content)
                continue
            try:
                yield (
                    member.name,
                    loaded.prepare(
                        read_image(_Entry(f"{shard}/{member.name}", content)), size, loaded.source_of(domain)
                    ),
                )
            except (DataError, ShapeError) as error:
                click.echo(f"skipped: {error}", err=True)

    try:
        with tarfile.open(shard, "r:") as source, tarfile.open(part, "w") as output:
            for _, alike in groupby(prepared(source, output), key=lambda image: image[1].shape):
                while batch := list(islice(alike, 1 if loaded.constraints.batch_dependent else batch_size)):
                    stacked = torch.stack([image for _, image in batch])
                    translated = loaded.run(stacked, domain, tile=tile, **condition).image.float().cpu()
                    for (name, _), image in zip(batch, translated, strict=True):
                        suffix = PurePosixPath(name).suffix.lower()
                        suffix = suffix if suffix in WRITABLE else ".png"
                        content = io.BytesIO()
                        to_image(image).save(content, _FORMATS[suffix], quality=95)
                        _add(output, str(PurePosixPath(name).with_suffix(suffix)), content.getvalue())
                        count += 1
        os.replace(part, target)
    except tarfile.TarError as error:
        raise DataError(f"cannot read {shard}: {error}; expected an uncompressed tar archive") from error
    finally:
        part.unlink(missing_ok=True)
    return count


_FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"
}  # fmt: skip


def _add(output: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    output.addfile(member, io.BytesIO(content))
