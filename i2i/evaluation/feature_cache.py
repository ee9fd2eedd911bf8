"""Features of image sets, kept on disk under a key of everything that they depend on."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from i2i.evaluation.image_sets import ImageSet, Pixels
from i2i.evaluation.networks import FeatureNetwork
from i2i.evaluation.weights import cache_folder

VERSION = 1
"""Part of every key; increased when the same key would give other features."""
log = logging.getLogger("i2i")


class Processes:
    """The processes that share an evaluation; this one alone if no process group is initialized."""

    def __init__(self) -> None:
        shared = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.count = torch.distributed.get_world_size() if shared else 1
        self.rank = torch.distributed.get_rank() if shared else 0

    def share(self, total: int) -> range:
        """Return the indices of this process's images."""
        return range(self.rank, total, self.count)

    def gather(self, values: Sequence[Tensor], total: int) -> list[Tensor]:
        """Return the values of all processes in the order of the indices; every process must call it."""
        parts = [list(values)] * self.count
        if self.count > 1:
            torch.distributed.all_gather_object(parts, list(values))
        return [parts[index % self.count][index // self.count] for index in range(total)]


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
    loader = DataLoader(_Share(images, processes.share(len(images))), batch_size=None, num_workers=workers)
    rows = [network(pixels.numpy() if isinstance(pixels, Tensor) else pixels) for pixels in loader]
    result = torch.stack(processes.gather(rows, len(images)))
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
