"""Search across domains: images as unit vectors of the shared latent, and the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from i2i import I2IError, Loaded
from i2i.data.images import UnreadableImage, read_image
from i2i.data.transforms import eval_transform


class Embedded(NamedTuple):
    """Images with their embeddings.

    Args:
        paths: of those that could be read.
        vectors: [n, D] of length 1; 4096 numbers for the report's widths.
        images: [n, 3, S, S] in [-1, 1], as the network took them.
    """

    paths: tuple[Path, ...]
    vectors: Tensor
    images: Tensor


@torch.inference_mode()
def encode(loaded: Loaded, images: Tensor, domain: str) -> Tensor:
    """Embeddings [B, D] of a domain's images [B, 3, S, S] in [-1, 1]: the latent as one vector, of length 1.

    Any translator with `encode(image, domain)` will do whose latent is one tensor.

    Raises:
        I2IError: this one has no such thing, or no such domain.
    """
    translator: Any = loaded.translator
    if not callable(getattr(translator, "encode", None)):
        raise I2IError(
            f"{loaded.recipe.name}: this translator has no latent that both domains share, so there is nothing to "
            f"search in; train one that has, such as twingan_small"
        )
    if domain not in translator.domains:
        raise I2IError(f"this translator knows no domain {domain!r}; domains: {', '.join(translator.domains)}")
    weight = next(translator.parameters())
    latent = translator.encode(images.to(weight.device, weight.dtype), domain)
    return torch.nn.functional.normalize(latent.flatten(1).float(), dim=1).cpu()


def embed(
    loaded: Loaded, paths: Iterable[Path], domain: str, batch_size: int = 16, skipped: list[str] | None = None
) -> Embedded:
    """Reads and encodes images: squares of the recipe's size, without flip or crop at random.

    Args:
        paths: all of one domain.
        skipped: gets a sentence for each image that cannot be read; without it, one raises.

    Raises:
        I2IError: no image could be read.
    """
    found: list[Embedded] = []
    readable = _read(loaded, paths, skipped)
    while batch := list(islice(readable, batch_size)):
        images = torch.stack([image for _, image in batch])
        found.append(Embedded(tuple(path for path, _ in batch), encode(loaded, images, domain), images))
    if not found:
        raise I2IError("none of the images could be read" + (f": {skipped[0]}" if skipped else ""))
    names = tuple(path for part in found for path in part.paths)
    return Embedded(names, torch.cat([part.vectors for part in found]), torch.cat([part.images for part in found]))


def nearest(queries: Tensor, among: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """The nearest vectors by the cosine.

    Args:
        queries: [q, D] of length 1.
        among: [n, D] of length 1.
        top: how many; all n at most.

    Returns:
        cosines [q, top], falling, and indices [q, top] into `among`; of equal ones the first comes first.

    Example:
        >>> cosines, indices = nearest(torch.eye(2), torch.tensor([[0.0, 1.0], [0.6, 0.8]]), top=1)
        >>> indices.flatten().tolist()
        [1, 0]
    """
    cosines, indices = (queries @ among.T).sort(dim=1, descending=True, stable=True)
    return cosines[:, :top], indices[:, :top]


def alike(vectors: Tensor) -> float:
    """The mean cosine of different vectors [n, D] of length 1; 0 for fewer than two.

    Example:
        >>> alike(torch.eye(3)), alike(torch.eye(3)[:1].expand(4, 3))
        (0.0, 1.0)
    """
    count = len(vectors)
    # The length of the sum is the sum of all cosines, those of each vector with itself included.
    return (float(vectors.sum(0).square().sum()) - count) / (count * (count - 1)) if count > 1 else 0.0


def _read(loaded: Loaded, paths: Iterable[Path], skipped: list[str] | None) -> Iterator[tuple[Path, Tensor]]:
    options = loaded.recipe.data.options
    for path in paths:
        try:
            yield path, eval_transform(read_image(path), loaded.recipe.image_size, options.get("resample", "bilinear"))
        except UnreadableImage as error:
            if skipped is None:
                raise
            skipped.append(str(error))


class Neighbour(NamedTuple):
    """One found image: for which query, in which place, and how near."""

    query: Path
    rank: int
    image: Path
    cosine: float


def neighbours(queries: Embedded, among: Embedded, top: int) -> tuple[list[Neighbour], Sequence[Sequence[int]]]:
    """The `top` nearest images of each query, leaving out the query itself; and their indices in `among`."""
    cosines, indices = nearest(queries.vectors, among.vectors, len(among.paths))
    files = [path.resolve() for path in among.paths]
    rows, chosen = [], []
    for place, query in enumerate(queries.paths):
        own = query.resolve()
        order = [number for number in range(len(files)) if files[int(indices[place, number])] != own][:top]
        chosen.append([int(indices[place, number]) for number in order])
        rows += [
            Neighbour(query, rank, among.paths[found], float(cosines[place, number]))
            for rank, (number, found) in enumerate(zip(order, chosen[-1], strict=True), 1)
        ]
    return rows, chosen
