"""Search across domains: images as unit vectors of the shared latent, and their nearest neighbours."""

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
        paths: files that could be read.
        vectors: [n, D] of length 1; D is 4096 for the paper's widths.
        images: [n, 3, S, S] in [-1, 1], as the network takes them.
    """

    paths: tuple[Path, ...]
    vectors: Tensor
    images: Tensor


@torch.inference_mode()
def encode(loaded: Loaded, images: Tensor, domain: str) -> Tensor:
    """Return embeddings [B, D] of a domain's images [B, 3, S, S] in [-1, 1]: latents as vectors of length 1.

    Args:
        loaded: a model whose translator has `encode(image, domain)`, which returns a tensor that domains share.
        images: [B, 3, S, S] in [-1, 1].
        domain: domain of the images.

    Raises:
        I2IError: the translator has no such method, or no such domain.
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
    """Read and encode images, as squares of the recipe's size without random flips or crops.

    Args:
        loaded: a model, as for `encode`.
        paths: files of one domain.
        domain: their domain.
        batch_size: number of images that are encoded at once.
        skipped: list that gets a line for each image that cannot be read; None raises an error instead.

    Raises:
        I2IError: no image could be read.
    """
    batches: list[Embedded] = []
    readable = _read(loaded, paths, skipped)
    while batch := list(islice(readable, batch_size)):
        images = torch.stack([image for _, image in batch])
        batches.append(Embedded(tuple(path for path, _ in batch), encode(loaded, images, domain), images))
    if not batches:
        raise I2IError("none of the images could be read" + (f": {skipped[0]}" if skipped else ""))
    names = tuple(path for part in batches for path in part.paths)
    return Embedded(names, torch.cat([part.vectors for part in batches]), torch.cat([part.images for part in batches]))


def nearest(queries: Tensor, among: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Return the nearest vectors by cosine similarity.

    Args:
        queries: [q, D] of length 1.
        among: [n, D] of length 1.
        top: number of neighbours, at most n.

    Returns:
        Cosines [q, top], decreasing, and indices [q, top] into `among`; of equal cosines the first index is first.

    Example:
        >>> cosines, indices = nearest(torch.eye(2), torch.tensor([[0.0, 1.0], [0.6, 0.8]]), top=1)
        >>> indices.flatten().tolist()
        [1, 0]
    """
    cosines, indices = (queries @ among.T).sort(dim=1, descending=True, stable=True)
    return cosines[:, :top], indices[:, :top]


def mean_cosine(vectors: Tensor) -> float:
    """Return the mean cosine of pairs of different vectors [n, D] of length 1; 0 for fewer than two vectors.

    Example:
        >>> mean_cosine(torch.eye(3)), mean_cosine(torch.eye(3)[:1].expand(4, 3))
        (0.0, 1.0)
    """
    count = len(vectors)
    # The squared length of the sum is the sum of all cosines, including those of each vector with itself.
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
    """One result of a search.

    Args:
        query: file of the query.
        rank: rank of the result, from 1.
        image: file of the result.
        cosine: cosine similarity of query and result.
    """

    query: Path
    rank: int
    image: Path
    cosine: float


def neighbours(queries: Embedded, among: Embedded, top: int) -> tuple[list[Neighbour], Sequence[Sequence[int]]]:
    """Return the `top` nearest images of each query without the query itself, and their indices in `among`."""
    cosines, indices = nearest(queries.vectors, among.vectors, len(among.paths))
    files = [path.resolve() for path in among.paths]
    rows: list[Neighbour] = []
    selected: list[list[int]] = []
    for query, query_cosines, query_indices in zip(queries.paths, cosines.tolist(), indices.tolist(), strict=True):
        results = [(i, c) for i, c in zip(query_indices, query_cosines, strict=True) if files[i] != query.resolve()][
            :top
        ]
        selected.append([index for index, _ in results])
        rows += [Neighbour(query, rank, among.paths[i], cosine) for rank, (i, cosine) in enumerate(results, 1)]
    return rows, selected
