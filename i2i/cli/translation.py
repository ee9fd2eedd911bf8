"""The translation of image files by `i2i translate`: reading, batches of one shape, writing, and what is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from i2i.cli.jobs import Job
from i2i.core.signature import options
from i2i.errors import DataError, I2IError, ShapeError, is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

    from i2i.use.image_files import SourceImage
    from i2i.use.loaded import Loaded

_MUCH_LARGER = 2
"""How many times larger than in training a side may be before a note says so."""
# What concerns one image: its shape, memory, reading and writing. Other errors concern the command as a whole.
_SKIPPED = (DataError, ShapeError, RuntimeError, MemoryError, OSError)


@dataclass
class Page:
    """One image on its way to the network: `image` [C, H, W] is page `number` of `work`'s file."""

    work: Work
    number: int
    image: Tensor


@dataclass
class Work:
    """A file in translation.

    Args:
        job: its files.
        source: what the translation takes over.
        images: its pages as the network gets them.
        done: translations and heat maps of its pages, by mark of the output.
        failed: whether it is skipped.
    """

    job: Job
    source: SourceImage
    images: list[Tensor] = field(default_factory=list)
    done: dict[str, dict[int, tuple[Tensor, Tensor | None]]] = field(default_factory=dict)
    failed: bool = False


class Session:
    """The translation of a list of files, and what is to be said about them at the end."""

    def __init__(
        self,
        loaded: Loaded,
        domain: str,
        conditions: dict[str, dict[str, Any]],
        tile: int | None,
        heatmap: bool,
        side_by_side: bool,
        half: Literal["left", "right", "none"] | None,
    ) -> None:
        from i2i.nn.layers.frozen import image_metadata

        self.loaded, self.domain, self.conditions, self.tile = loaded, domain, conditions, tile
        self.heatmap, self.side_by_side, self.half = heatmap, side_by_side, half
        self.notes = image_metadata(loaded.feature_extractors)
        self.skipped: list[str] = []
        self.lost: Counter[str] = Counter()
        self.taken: set[Path] = set()
        self.halved = 0
        self.largest = (0, 0)

    def pages(self, jobs: Iterable[Job], size: int | Literal["original"] | None) -> Iterator[Page | None]:
        """Read and resize images page by page; None for one that was skipped, which the progress bar counts too."""
        from i2i.use.image_files import read_source

        format = self.loaded.format_of(self.loaded.source_of(self.domain))
        for job in jobs:
            try:
                work = Work(job, self._halved(read_source(job.source, format)))
                work.images = [self.loaded.resize(page, size) for page in work.source.pages]
            except _SKIPPED as error:
                self._skip(job, error)
                yield None
                continue
            for number, image in enumerate(work.images):
                self.largest = max(self.largest, (image.shape[-2], image.shape[-1]), key=min)
                yield Page(work, number, image)

    def translate(self, batch: list[Page]) -> None:
        """Translate a batch, and write the files whose last page it holds."""
        batch = [page for page in batch if not page.work.failed]
        try:
            self._run(batch)
        except _SKIPPED as error:
            if len(batch) > 1:  # the others of the batch may be fine, and one at a time may fit into memory
                for page in batch:
                    self.translate([page])
            else:
                self._fail(batch[0].work, error)
            return
        for work in {id(page.work): page.work for page in batch}.values():
            for mark in self.conditions:
                if not work.failed and len(work.done.get(mark, ())) == len(work.images):
                    try:
                        self._write(work, mark)
                    except _SKIPPED as error:
                        self._fail(work, error)

    def remarks(self) -> list[str]:
        """One line each on halves, on what could not be kept, and on sizes that the network was not trained on."""
        lines = []
        if self.halved:
            lines.append(
                f"{self.halved} side-by-side images: translated the {self._source_half()} half, as in training; "
                f"--half none translates whole images"
            )
        if self.lost:
            kinds = "; ".join(
                f"{what}" + (f", {count} images" if count > 1 else "") for what, count in self.lost.items()
            )
            lines.append(f"not kept: {kinds}")
        trained = self.loaded.recipe.image_size
        if self.loaded.constraints.fixed_size is None and min(self.largest) >= _MUCH_LARGER * min(trained):
            height, width = self.largest
            lines.append(
                f"note: the network was trained on {trained[1]} x {trained[0]} pixels and got up to {width} x "
                f"{height}, so that things may be larger than any that it has seen"
            )
        return lines

    def _run(self, batch: list[Page]) -> None:
        import torch

        if not batch:
            return
        images = torch.stack([page.image for page in batch])
        for mark, condition in self.conditions.items():
            result = self.loaded.run(images, self.domain, tile=self.tile, **condition)
            if self.heatmap and result.heatmap is None:
                raise I2IError("this generator has no attention and so no heat map; omit --heatmap")
            translated = result.image.float().cpu()
            heat = None if result.heatmap is None or not self.heatmap else result.heatmap.float().cpu()
            for index, page in enumerate(batch):
                page.work.done.setdefault(mark, {})[page.number] = (
                    translated[index],
                    None if heat is None else heat[index : index + 1],
                )

    def _write(self, work: Work, mark: str) -> None:
        import torch

        from i2i.data.pixels import to_image, visible
        from i2i.data.writing import write_image
        from i2i.nn.functional.heatmap import draw_heatmap
        from i2i.use.image_files import write_translation

        outputs = [work.done[mark][number] for number in range(len(work.images))]
        work.done[mark] = {}
        target = work.job.marked(mark)
        first, heatmap = outputs[0]
        heat = None if heatmap is None else draw_heatmap(heatmap, first.shape[-2:])[0]
        if self.side_by_side:
            parts = [visible(work.images[0]), *([] if heat is None else [heat]), visible(first)]
            if target.suffix.lower() in (".npy", ".npz"):
                target = target.with_suffix(".png")
            write_image(to_image(torch.cat(parts, dim=2)), target, self.notes)
            return
        window = self.loaded.window_of(self.domain)
        pages = [image for image, _ in outputs]
        written, lost = write_translation(target, pages, work.source, window, self.notes, self.taken)
        self.lost.update(lost)
        if heat is not None:
            write_image(to_image(heat), written.with_name(f"{written.stem}.heatmap.png"))

    def _halved(self, source: SourceImage) -> SourceImage:
        if self.half == "none":
            return source
        if self.half is not None:
            return source.half(self.half == "left")
        height, width = source.size
        if self._source_half() is None or width != 2 * height:
            return source
        self.halved += 1
        return source.half(self._source_half() == "left")

    def _source_half(self) -> Literal["left", "right"] | None:
        """The half of side-by-side training images that held the source domain; None if there were no such images."""
        data = self.loaded.recipe.data
        if "left" not in options(data.component) or data.options.get("root") is None:
            return None
        left = data.options.get("left", "a") == self.loaded.source_of(self.domain)
        return "left" if left else "right"

    def _fail(self, work: Work, error: Exception) -> None:
        work.failed = True
        self._skip(work.job, error)

    def _skip(self, job: Job, error: Exception) -> None:
        self.skipped.append(_reason(job, error))


def batches(pages: Iterable[Page | None], batch_size: int) -> Iterator[list[Page]]:
    """Group consecutive images of one shape, up to `batch_size` of them."""
    readable = (page for page in pages if page is not None)
    for _, alike in groupby(readable, key=lambda page: page.image.shape):
        while batch := list(islice(alike, batch_size)):
            yield batch


def _reason(job: Job, error: Exception) -> str:
    """One line that names the image; an error about reading it names it already."""
    from i2i.data.images import UnreadableImage

    text = " ".join(str(error).split()) or type(error).__name__
    if is_out_of_memory(error):
        text = f"out of memory: {text[:200]}; try a smaller --size, --tile or --batch-size"
    line = text if isinstance(error, UnreadableImage) else f"cannot translate {job.source}: {text}"
    return line.encode("utf-8", "backslashreplace").decode()
