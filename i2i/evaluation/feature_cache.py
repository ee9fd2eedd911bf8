"""Features of image sets, kept on disk under a key of everything that they depend on."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from i2i.errors import I2IError
from i2i.evaluation.image_sets import ImageSet, Pixels
from i2i.evaluation.networks import FeatureNetwork
from i2i.evaluation.weights import cache_folder

VERSION = 1
"""Part of every key; increased when the same key would give other features."""
log = logging.getLogger("i2i")


class Processes:
    """The processes that share an evaluation; this one alone if no process group is initialized."""

    @property
    def count(self) -> int:
        """Number of processes."""
        return torch.distributed.get_world_size() if self._shared else 1

    @property
    def rank(self) -> int:
        """Number of this process."""
        return torch.distributed.get_rank() if self._shared else 0

    @property
    def _shared(self) -> bool:
        return torch.distributed.is_available() and torch.distributed.is_initialized()

    def collect(self, compute: Callable[[range], Iterable[Tensor]], total: int) -> list[Tensor]:
        """Return the results of all images in their order; every process computes its share, and must call this.

        Args:
            compute: function from the indices of a process to their results.
            total: number of images.

        Raises:
            I2IError: a process failed; all processes raise, so that none waits for another.
        """
        values: list[Tensor] = []
        failure: Exception | None = None
        try:
            values = list(compute(range(self.rank, total, self.count)))
        except Exception as error:
            if self.count == 1:
                raise
            failure = error
        parts: list[tuple[list[Tensor], str]] = [(values, "")] * self.count
        if self.count > 1:
            torch.distributed.all_gather_object(parts, (values, "" if failure is None else str(failure)))
        if problems := [problem for _, problem in parts if problem]:
            raise I2IError(problems[0]) from failure
        return [parts[index % self.count][0][index // self.count] for index in range(total)]


class _Share(Dataset[Pixels]):
    def __init__(self, images: ImageSet, indices: Sequence[int]) -> None:
        self.images, self.indices = images, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> Pixels:
        return self.images[self.indices[number]]


def features(
    network: FeatureNetwork, images: ImageSet, folder: Path | None = None, workers: int = 0, use_cache: bool = True
) -> Tensor:
    """Return the features [n, d] of a set of images, from the cache where they are there.

    The key contains the hash of each image, of the weights and of the preprocessing, so a changed byte of any of them
    is another key.

    Args:
        network: the network.
        images: the images.
        folder: folder of the cache; `features` in i2i's cache folder when None.
        workers: processes that read images; 0 reads in this process.
        use_cache: whether to read and write the cache.
    """
    processes = Processes()
    path = (folder or cache_folder() / "features") / f"{cache_key(network, images)}.safetensors"
    cached = _read(path, len(images)) if use_cache and processes.rank == 0 else None
    if processes.count > 1:
        sent = [cached]
        torch.distributed.broadcast_object_list(sent, src=0)
        cached = sent[0]
    if cached is not None:
        return cached

    def compute(share: range) -> Iterator[Tensor]:
        for pixels in DataLoader(_Share(images, share), batch_size=None, num_workers=workers):
            yield network(pixels.numpy() if isinstance(pixels, Tensor) else pixels)

    result = torch.stack(processes.collect(compute, len(images)))
    if use_cache and processes.rank == 0:
        _write(path, result)
    return result


def cache_key(network: FeatureNetwork, images: ImageSet) -> str:
    """Return the hash of images, weights and preprocessing that names an entry of the cache."""
    return hashlib.sha256(f"{VERSION} {network.key} {images.sha256}".encode()).hexdigest()


def _read(path: Path, count: int) -> Tensor | None:
    if not path.is_file():
        return None
    try:
        found = load_file(path).get("features")
    except (OSError, SafetensorError) as error:
        log.warning("%s is damaged and computed again: %s", path, error)
        return None
    return found if found is not None and found.ndim == 2 and len(found) == count else None


def _write(path: Path, found: Tensor) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"features": found.contiguous()}, part)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:  # a full disk must not lose the figures
        part.unlink(missing_ok=True)
        log.warning("features are not cached: %s", error)
