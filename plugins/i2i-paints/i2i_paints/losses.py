"""The losses `paints_gan` and `line_difference`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import CheckpointError, OptionError
from i2i.nn.weight_files import load_weight_file
from i2i_paints.lines import xdog
from i2i_paints.networks import LineNetwork

REAL, GENERATED = 0, 1


class PaintsGAN(nn.Module):
    """Cross entropy of two classes, real (0) and generated (1), for the logits [B, 2] of `paints_discriminator`.

    Source: pfnet/PaintsChainer aa66794, train_128.py.
    """

    def generator(self, fake_logits: Tensor) -> Tensor:
        return _cross_entropy(fake_logits, REAL)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _cross_entropy(fake_logits, GENERATED) + _cross_entropy(real_logits, REAL)


def _cross_entropy(logits: Tensor, label: int) -> Tensor:
    return F.cross_entropy(logits, torch.full((len(logits),), label, device=logits.device))


class LineDifference(nn.Module):
    """Mean absolute difference of the lines in two images; the gradient flows through both extractions.

    Args:
        weights: state dict of a line network, such as the checkpoint of a run of `paints_lines`. Without one, lines
            are found by differences of Gaussians.
        channels: channels after the line network's first convolution.

    Source: pfnet/PaintsChainer aa66794, train_128.py, whose network was trained on lines of two other extractors.
    """

    def __init__(self, weights: Path | None = None, channels: int = 32) -> None:
        super().__init__()
        self.network: LineNetwork | None = None
        if weights is not None:
            self.network = LineNetwork(channels=channels).requires_grad_(False)
            self.network.load_state_dict(_line_weights(Path(weights), self.network))

    def train(self, mode: bool = True) -> LineDifference:
        """Keep the evaluation mode: a frozen network uses its running statistics."""
        return super().train(False)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compare images [B, 3, H, W] in YUV, from 0 to 255."""
        return (self._lines(prediction) - self._lines(target)).abs().mean()

    def _lines(self, yuv: Tensor) -> Tensor:
        if self.network is None:
            return 2 * xdog(yuv[:, :1] / 255)
        return self.network.run((yuv - 128) / 128)


def _line_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    try:
        loaded = load_weight_file(path)
    except CheckpointError as error:
        raise OptionError("weights", str(error)) from error
    state = {name.removeprefix("generator."): value for name, value in dict(loaded).items()}  # type: ignore[call-overload]
    expected = network.state_dict()
    wrong = [name for name in expected if name not in state or state[name].shape != expected[name].shape]
    if wrong:
        raise OptionError("weights", f"{path} does not fit a line network of these channels: {wrong[0]}")
    return {name: state[name] for name in expected}
