"""Editing by text: StyleCLIP's optimizer, mapper and global directions, as functions of tensors and modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from i2i_stylegan.layers import activate, dense
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import I2IError
from i2i_edit.projection import learning_rate


class Step(NamedTuple):
    """A step of an optimization.

    Args:
        ws: style vectors [B, num_ws, w_dim] after the step.
        text: distances [B] of the images from the text before it.
        change: squared distance [B] from the start before it.
        loss: their weighted sum [B].
    """

    ws: Tensor
    text: Tensor
    change: Tensor
    loss: Tensor


def text_distance(image: Tensor, text: Tensor, scale: float = 1.0) -> Tensor:
    """Return 1 - scale · cos [B, n] of embeddings of images [B, D] and texts [n, D].

    Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249, equation 1.
    """
    return 1 - scale * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T


@torch.no_grad()
def embedding_of(encoder: Any, texts: Sequence[str]) -> Tensor:
    """Return the mean of the unit embeddings of texts, [D].

    Raises:
        I2IError: a text is empty.
    """
    if not texts or not all(text.strip() for text in texts):
        raise I2IError("text: expected words such as red hair, got an empty text")
    embeddings: Tensor = encoder.embed_text(list(texts))
    return F.normalize(embeddings, dim=1).mean(0)


def identity_distance(image: Tensor, reference: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
    """Return 1 - cos [B] of the features of two faces, the second without gradients.

    Args:
        image: [B, 3, H, W] in [-1, 1].
        reference: of the same shape.
        network: features [B, D] of images [B, 3, 112, 112].

    Source: Deng et al., ArcFace, CVPR 2019, arXiv:1801.07698, as StyleCLIP uses it: resized to 256 px by pooling, rows
    35 to 222 and columns 32 to 219, pooled to 112 px.
    """
    found = F.normalize(network(face_crop(image)), dim=1)
    wanted = F.normalize(network(face_crop(reference)), dim=1).detach()
    return 1 - (found * wanted).sum(1)


def face_crop(image: Tensor) -> Tensor:
    """Return the faces [B, 3, 112, 112] of aligned portraits [B, 3, H, W]."""
    if image.shape[2] != 256:
        image = F.adaptive_avg_pool2d(image, 256)
    return F.adaptive_avg_pool2d(image[:, :, 35:223, 32:220], 112)


def optimize_text(
    synthesis: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor], Tensor],
    start: Tensor,
    steps: int = 300,
    rate: float = 0.1,
    keep: float = 0.008,
    identity: Callable[[Tensor], Tensor] | None = None,
    identity_weight: float = 0.005,
    layers: Sequence[int] | None = None,
) -> Iterator[Step]:
    """Optimize style vectors so that images come near to a text.

    Args:
        synthesis: from style vectors [B, num_ws, w_dim] to images in [-1, 1].
        distance: distances [B] of images from the text.
        start: style vectors [B, num_ws, w_dim].
        steps: number of steps.
        rate: largest learning rate of Adam.
        keep: weight of the squared distance from the start; 0 to generate freely.
        identity: distances [B] of images from the start's face.
        identity_weight: its weight.
        layers: numbers of the style vectors that change; all, as in the official code, when None.

    Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249, section 4; orpatashnik/StyleCLIP f87a47f.
    """
    start = start.detach()
    ws = start.clone().requires_grad_()
    changes = torch.ones_like(ws[:1, :, :1])
    if layers is not None:
        changes = torch.zeros_like(changes)
        changes[:, list(layers)] = 1
    adam = torch.optim.Adam([ws], lr=rate)
    for step in range(steps):
        adam.param_groups[0]["lr"] = learning_rate(step / steps, rate)
        with torch.enable_grad():
            image = synthesis(ws)
            text, change = distance(image), (start - ws).square().sum((1, 2))
            loss = text + keep * change
            if identity is not None:
                loss = loss + identity_weight * identity(image)
        (gradient,) = torch.autograd.grad(loss.sum(), (ws,))
        ws.grad = gradient * changes
        adam.step()
        yield Step(ws.detach().clone(), text.detach(), change.detach(), loss.detach())


class Mapper(nn.Module):
    """Changes style vectors by a small network for each of three groups of layers: coarse, medium, fine.

    Args:
        w_dim: length of a style vector.
        levels: groups that are changed; the others stay as they are.
        normalize: what the first layer normalizes: `layers`, as the official code does it, or `features`.

    Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249, section 5; orpatashnik/StyleCLIP f87a47f.
    """

    LEVELS = ("coarse", "medium", "fine")
    STARTS = (0, 4, 8)

    def __init__(
        self,
        w_dim: int = 512,
        levels: Sequence[Literal["coarse", "medium", "fine"]] = ("coarse", "medium", "fine"),
        normalize: Literal["layers", "features"] = "features",
    ) -> None:
        super().__init__()
        self.axis = 1 if normalize == "layers" else 2
        self.networks = nn.ModuleDict(
            {level: nn.ModuleList(dense(w_dim, w_dim, 0.01) for _ in range(4)) for level in levels}
        )

    def forward(self, ws: Tensor) -> Tensor:
        """Return changes of style vectors [B, num_ws, w_dim]."""
        changes = []
        for level, start, end in zip(self.LEVELS, self.STARTS, (*self.STARTS[1:], ws.shape[1]), strict=True):
            x = ws[:, start:end]
            if level not in self.networks or not x.shape[1]:
                changes.append(torch.zeros_like(x))
                continue
            x = x * (x.square().mean(self.axis, keepdim=True) + 1e-8).rsqrt()
            for layer in self.networks[level]:  # type: ignore[attr-defined]
                x = activate(layer(x))
            changes.append(x)
        return torch.cat(changes, 1)


OFFICIAL_LEVELS = {"course": "coarse", "medium": "medium", "fine": "fine"}


def mapper_weights(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of an official mapper, such as `course_mapping.mapping.1.weight`."""
    renamed = {}
    for name, value in official.items():
        level, _, index, kind = name.removeprefix("mapper.").split(".")
        renamed[f"networks.{OFFICIAL_LEVELS[level.removesuffix('_mapping')]}.{int(index) - 1}.{kind}"] = value
    return renamed


def channel_relevance(features: Tensor) -> Tensor:
    """Return how each channel of the styles changes the embeddings of images, unit vectors [C, D].

    Args:
        features: embeddings [C, N, 2, D] of N images whose channel is 5 standard deviations below and above its mean.

    Source: Patashnik et al., StyleCLIP, ICCV 2021, arXiv:2103.17249, section 6.
    """
    unit = F.normalize(features, dim=3)
    moved = F.normalize(unit[:, :, 1] - unit[:, :, 0], dim=2)
    return F.normalize(moved.mean(1), dim=1)


def text_change(target: Tensor, neutral: Tensor) -> Tensor:
    """Return the unit vector [D] from the embedding of a neutral text [D] to that of a target [D]."""
    return F.normalize(F.normalize(target, dim=0) - F.normalize(neutral, dim=0), dim=0)


def global_direction(
    relevance: Tensor, change: Tensor, deviations: Mapping[str, Tensor], beta: float = 0.1
) -> tuple[dict[str, Tensor], int]:
    """Return a change of styles that moves the embedding of any image along a change of texts.

    Args:
        relevance: [C, D] of the channels of all layers, in the order of `deviations`; see `channel_relevance`.
        change: unit vector [D].
        deviations: standard deviation of each channel, by layer.
        beta: channels below this relevance do not change; larger values disentangle more.

    Returns:
        The change by layer, and the number of channels that change.
    """
    found = relevance @ change
    found = torch.where(found.abs() < beta, torch.zeros_like(found), found)
    count = int((found != 0).sum())
    most = found.abs().max()
    found = found / most if count else found
    parts = found.split([len(value) for value in deviations.values()])
    return {name: part * value for (name, value), part in zip(deviations.items(), parts, strict=True)}, count
