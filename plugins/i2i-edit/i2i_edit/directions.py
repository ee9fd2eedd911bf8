"""Linear directions in the space of styles: InterFaceGAN, tags, SeFa and GANSpace, as functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from i2i.errors import I2IError


class Boundary(NamedTuple):
    """A separating plane between images with and without an attribute.

    Args:
        normal: unit vector [d] towards images with the attribute, float32.
        validation: share of the held-out extreme samples on the right side.
        remaining: share of the samples in the middle on the right side; NaN where there are none.
    """

    normal: Tensor
    validation: float
    remaining: float


def sklearn_module(name: str) -> Any:
    """Import a module of scikit-learn.

    Raises:
        I2IError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"sklearn.{name}")
    except ImportError as error:
        raise I2IError(
            "directions by interfacegan and tags need scikit-learn, which is not installed: "
            "pip install 'i2i-edit[directions]'"
        ) from error


def train_boundary(
    latents: Tensor,
    scores: Tensor,
    chosen: float = 0.02,
    split: float = 0.7,
    invalid: float | None = None,
    seed: int = 0,
) -> Boundary:
    """Separate the samples with the highest scores from those with the lowest by a linear support vector machine.

    Args:
        latents: [N, d].
        scores: [N].
        chosen: share of the samples at each end, or their number if it is above 1; at most half of the samples.
        split: share of them that is trained on.
        invalid: samples with this score are left out.
        seed: of the choice of the training samples.

    Raises:
        I2IError: too few samples.

    Source: Shen et al., CVPR 2020, arXiv:1907.10786; genforce/interfacegan 8da3fc0.
    """
    if latents.ndim != 2 or scores.shape != latents.shape[:1]:
        raise I2IError(f"expected latents [N, d] and scores [N], got {list(latents.shape)} and {list(scores.shape)}")
    x, y = latents.detach().cpu().numpy(), scores.detach().cpu().numpy()
    if invalid is not None:
        x, y = x[y != invalid], y[y != invalid]
    order = np.argsort(y)[::-1]
    x, y = x[order], y[order]
    count = min(int(len(x) * chosen) if chosen <= 1 else int(chosen), len(x) // 2)
    trained = int(count * split)
    if trained < 1 or trained == count:
        raise I2IError(
            f"too few labels: {len(x)} samples leave {count} at each end, of which {trained} are trained on; "
            f"expected at least 2 with 1 for training, so give more samples or a larger share"
        )
    if y[0] == y[-1]:
        raise I2IError(f"too few labels: all {len(x)} samples have the score {y[0]:g}")
    draws = np.random.RandomState(seed)
    high, low = np.arange(count), np.arange(count)
    draws.shuffle(high), draws.shuffle(low)
    positive, negative = x[:count][high], x[-count:][low]
    train = np.concatenate([positive[:trained], negative[:trained]])
    machine = sklearn_module("svm").SVC(kernel="linear")
    machine.fit(train, np.repeat([1, 0], trained))
    held_out = np.concatenate([positive[trained:], negative[trained:]])
    validation = machine.predict(held_out) == np.repeat([1, 0], count - trained)
    middle = slice(count, len(x) - count)
    remaining = machine.predict(x[middle]) == (y[middle] >= (y[0] + y[-1]) / 2) if count < len(x) - count else []
    normal = machine.coef_.reshape(-1).astype(np.float32)
    return Boundary(
        torch.from_numpy(normal / np.linalg.norm(normal)),
        float(np.mean(validation)),
        float(np.mean(remaining)) if len(remaining) else float("nan"),
    )


def condition(primal: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Remove the parts of a direction along other directions, and scale the rest to unit length.

    Args:
        primal: unit vector [d].
        others: unit vectors [d] that the result is orthogonal to.

    Raises:
        I2IError: nothing is left.

    Source: Shen et al., CVPR 2020, arXiv:1907.10786, section 2.3.
    """
    if not others:
        return primal
    basis = torch.stack(list(others)).to(primal)
    products = basis @ primal
    if len(others) == 2:
        between = basis[0] @ basis[1]
        scale = 1 - between**2 + 1e-8
        shares = torch.stack([products[0] - products[1] * between, products[1] - products[0] * between]) / scale
    elif len(others) == 1:
        shares = products
    else:
        shares = torch.linalg.solve(basis @ basis.T, products)
    rest = primal - shares @ basis
    if float(rest.norm()) < 1e-6:
        raise I2IError("the direction lies in the span of the directions that it is conditioned on")
    return rest / rest.norm()


def walk(latent: Tensor, boundary: Tensor, start: float = -3.0, end: float = 3.0, steps: int = 10) -> Tensor:
    """Move a latent code along a direction, as InterFaceGAN does it.

    Args:
        latent: [1, d] of Z or W, whose own distance from the plane is subtracted, so that distances are absolute; or
            [1, L, d] of W+, which moves by relative distances.
        boundary: unit vector [d].
        start: first distance.
        end: last distance.
        steps: number of results.

    Returns:
        [steps, d] or [steps, L, d].
    """
    distances = torch.linspace(start, end, steps, dtype=torch.float64).to(latent)
    if latent.ndim == 2:
        distances = distances - latent @ boundary
    # The official code rounds distances to float32.
    distances = distances.float().to(latent)
    return latent + distances.view(-1, *[1] * (latent.ndim - 1)) * boundary


def tag_direction(
    latents: Tensor, labels: Tensor, balanced: bool = True, strength: float = 1.0
) -> tuple[Tensor, float]:
    """Fit a logistic regression of a tag on latent codes.

    Args:
        latents: [N, ...], flattened.
        labels: [N], 1 with the tag and 0 without.
        balanced: whether both classes weigh the same.
        strength: C, inverse of the weight of the L2 penalty.

    Returns:
        The coefficients, in the shape of one code, float64, and the intercept.

    Raises:
        I2IError: fewer than two samples of a class.
    """
    present = int((labels > 0.5).sum())
    if min(present, len(labels) - present) < 2:
        raise I2IError(
            f"too few labels: expected at least 2 images with the tag and 2 without, got {present} and "
            f"{len(labels) - present}"
        )
    model = sklearn_module("linear_model").LogisticRegression(
        C=strength, class_weight="balanced" if balanced else None, solver="newton-cholesky", tol=1e-12, max_iter=200
    )
    model.fit(latents.detach().cpu().double().flatten(1).numpy(), (labels > 0.5).cpu().numpy().astype(int))
    return torch.from_numpy(model.coef_[0]).view(latents.shape[1:]), float(model.intercept_[0])


def sefa(weights: Sequence[Tensor], normalized: bool = True) -> tuple[Tensor, Tensor]:
    """Return the directions in w that change styles most: eigenvectors of the weights of the style layers.

    Args:
        weights: of the chosen layers, [C, w_dim] each.
        normalized: whether each channel's weights are divided by their norm first, so that all channels count the same;
            otherwise as in rosinality's closed-form factorization, whose singular values are the roots of ours.

    Returns:
        Unit vectors in rows [w_dim, w_dim] and their eigenvalues, the largest first.

    Source: Shen and Zhou, CVPR 2021, arXiv:2007.06600; genforce/sefa 0d16060, which does not sort them;
    rosinality/stylegan2-pytorch bef283a.
    """
    weight = torch.cat([value.detach().double().T for value in weights], 1)
    if normalized:
        weight = weight / weight.norm(dim=0, keepdim=True)
    values, vectors = torch.linalg.eigh(weight @ weight.T)
    return vectors.T.flip(0), values.flip(0)


def ganspace(ws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the principal components of style vectors.

    Args:
        ws: [N, w_dim].

    Returns:
        Components in rows, the mean, and the standard deviation along each component. An edit is
        w + sum over k of sigma_k · deviation_k · component_k.

    Raises:
        I2IError: fewer than two samples.

    Source: Härkönen et al., NeurIPS 2020, arXiv:2004.02546, section 2.1.
    """
    if len(ws) < 2:
        raise I2IError(f"ganspace: expected at least 2 samples, got {len(ws)}")
    values = ws.detach().double()
    mean = values.mean(0)
    _, singular, components = torch.linalg.svd(values - mean, full_matrices=False)
    return components, mean, singular / (len(ws) - 1) ** 0.5
