"""Classifiers of pixels from a generator's features, several of them, whose disagreement is an uncertainty."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from i2i.errors import CheckpointError
from i2i.nn.weight_files import load_weight_file

MANY_CLASSES = 32
"""From this number of classes on, the hidden layers are wider."""
TOP_SHARE = 10
"""The uncertainty of an image is the mean over this part, a tenth, of its pixels."""


class PixelClassifier(nn.Module):
    """Classifies pixels one by one: linear layer, ReLU and batch norm twice, and a linear layer.

    Args:
        in_features: numbers of a pixel, the sum of the channels of all features.
        num_classes: number of classes; hidden layers have 128 and 32 numbers below 32 classes, otherwise 256 and 128.

    Source: Zhang et al., DatasetGAN, CVPR 2021, arXiv:2104.06490; nv-tlabs/editGAN_release fef9ab8.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        first, second = (128, 32) if num_classes < MANY_CLASSES else (256, 128)
        self.in_features, self.num_classes = in_features, num_classes
        self.layers = nn.Sequential(
            nn.Linear(in_features, first),
            nn.ReLU(),
            nn.BatchNorm1d(first),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.BatchNorm1d(second),
            nn.Linear(second, num_classes),
        )

    def reset_parameters_(self, generator: torch.Generator) -> None:
        """Draw the weights of linear layers from N(0, 0.02²) and set their biases to 0."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n, num_classes] of pixels [n, in_features]."""
        return cast(Tensor, self.layers(x))


class PixelEnsemble(nn.Module):
    """Several classifiers of pixels, trained alike from different initial weights.

    Args:
        in_features: see `PixelClassifier`.
        num_classes: see `PixelClassifier`.
        members: number of classifiers; 10 in the official code.
    """

    def __init__(self, in_features: int, num_classes: int, members: int = 10) -> None:
        super().__init__()
        self.in_features, self.num_classes = in_features, num_classes
        self.members = nn.ModuleList([PixelClassifier(in_features, num_classes) for _ in range(members)])

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [members, n, num_classes] of pixels [n, in_features]."""
        return torch.stack([member(x) for member in self.members])


def vote(logits: Tensor) -> Tensor:
    """Return the class [n] that most members choose, the smallest one of equals, for logits [members, n, classes].

    Source: DatasetGAN. EditGAN takes the largest mean logit.
    """
    chosen = nn.functional.one_hot(logits.argmax(2), logits.shape[2]).sum(0)
    # argmax does not promise the first of equal values on all devices.
    order = torch.arange(logits.shape[2], 0, -1, device=logits.device)
    return (chosen * (logits.shape[2] + 1) + order).argmax(1)


def disagreement(logits: Tensor) -> Tensor:
    r"""Return the Jensen-Shannon divergence [n] of the members' probabilities, for logits [members, n, classes].

    .. math:: H\big(\tfrac{1}{M} \textstyle\sum_m p_m\big) - \tfrac{1}{M} \textstyle\sum_m H(p_m)

    Returns:
        0 where the members agree, at most the logarithm of the number of classes.
    """
    probabilities = logits.softmax(2)
    # entr(p) is -p log p, and 0 for p = 0.
    mean: Tensor = torch.special.entr(probabilities.mean(0)).sum(1)
    return mean - torch.special.entr(probabilities).sum(2).mean(0)


def image_uncertainty(divergence: Tensor) -> float:
    """Return an image's uncertainty: the mean of the highest tenth of its pixels' divergences [n]."""
    count = max(len(divergence) // TOP_SHARE, 1)
    return float(divergence.topk(count).values.mean())


def read_official(folder: Path) -> PixelEnsemble:
    """Read the classifiers of official checkpoints: `model_0.pth`, `model_1.pth`, ...

    Args:
        folder: with the files of DatasetGAN or EditGAN (`car_model_0.pth`).

    Raises:
        CheckpointError: there are none, or they are of different sizes.
    """
    numbered = [
        (int(found[1]), path) for path in folder.glob("*.pth") if (found := re.search(r"model_(\d+)", path.stem))
    ]
    if not numbered:
        raise CheckpointError(f"{folder}: expected classifiers of pixels, model_0.pth and so on, found none")
    states = []
    for _, path in sorted(numbered):
        content = load_weight_file(path)
        state = content.get("model_state_dict") if isinstance(content, dict) else None
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise CheckpointError(f"{path}: expected a file with model_state_dict")
        states.append({name.removeprefix("module."): value for name, value in state.items()})
    try:
        first, last = states[0]["layers.0.weight"], states[0]["layers.6.weight"]
        ensemble = PixelEnsemble(first.shape[1], last.shape[0], len(states))
        for member, state in zip(ensemble.members, states, strict=True):
            member.load_state_dict(state)
    except (KeyError, IndexError, RuntimeError) as error:
        message = str(error).splitlines()[0]
        raise CheckpointError(f"{folder}: these are not classifiers of one generator's pixels: {message}") from error
    return ensemble.eval()
