"""Features of timm's networks at named layers."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any, Literal, cast

import timm
import torch
from timm.models import create_feature_extractor
from torch import Tensor, nn

from i2i.core.spelling import did_you_mean
from i2i.errors import OptionError, ShapeError
from i2i.nn.features.timm_weights import PACKAGED, load_timm_weights_, packaged_weights


class TimmFeatures(nn.Module):
    """Frozen network of timm, truncated after the last layer whose features are wanted.

    Args:
        taps: names of submodules, such as `blocks.2` or, for a VGG, `features.25`.
        model: name of the network in timm.
        weights: `package` for those of an installed distribution, `untrained` for random weights, the same in every
            run, or the path of a state dict with timm's names, in safetensors or written by `torch.save`.
        pooling: the network's `own`, or `average` in place of every max pooling, which style losses prefer in a VGG
            (Gatys et al., CVPR 2016, section 2).

    Raises:
        OptionError: there is no such network or layer, or the weights are missing or do not fit.
    """

    def __init__(
        self,
        taps: tuple[str, ...],
        model: str = "tf_efficientnet_lite0",
        weights: Literal["package", "untrained"] | Path = "package",
        pooling: Literal["own", "average"] = "own",
    ) -> None:
        super().__init__()
        if not timm.is_model(model):
            raise OptionError("model", f"timm has no network {model!r}.{did_you_mean(model, timm.list_models())}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # random weights must not depend on earlier draws
            network = timm.create_model(model, pretrained=False).eval().requires_grad_(False)
        layers = [name for name, _ in network.named_modules() if name]
        for tap in taps:
            if tap not in layers:
                raise OptionError("taps", f"{model} has no layer {tap!r}.{did_you_mean(tap, layers)}")
        self.taps, self.model, self.weights, self.pooling = taps, model, weights, pooling
        for layer in network.modules():
            if hasattr(layer, "inplace"):  # an activation in place would change the features before it
                setattr(layer, "inplace", False)  # noqa: B010  # not in the types of torch
        if pooling == "average":
            _average(network, model)
        self._whole = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        trained_on: Any = network.pretrained_cfg
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(trained_on["mean"]).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(trained_on["std"]).view(3, 1, 1))
        self.network = create_feature_extractor(network, {tap: tap for tap in taps})
        with torch.no_grad():
            features = cast("tuple[Tensor, ...]", self(torch.zeros(1, 3, 64, 64)))
        self.num_features = tuple(feature.shape[1] for feature in features)

    @property
    def source(self) -> str:
        """Network and weights, as recorded with every result."""
        pooled = ", average pooling" if self.pooling == "average" else ""
        if self.weights == "package":
            name = PACKAGED.get(self.model, "")
            return f"{self.model}, weights of {name} {_version(name)}{pooled}"
        weights = "untrained" if self.weights == "untrained" else f"weights of {self.weights}"
        return f"{self.model}, {weights}{pooled}"

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Compute features [B, C, h, w] for each tap.

        Args:
            image: [B, 3, H, W] in [-1, 1], or grey [B, 1, H, W], which is repeated; normalized with the mean and
                standard deviation of the network's training.

        Raises:
            ShapeError: the image has other channels.
        """
        if image.shape[1] == 1:
            image = image.expand(-1, 3, -1, -1)
        elif image.shape[1] != 3:
            raise ShapeError(
                f"timm: expected images [B, 3, H, W] or [B, 1, H, W], got {list(image.shape)}; the network was trained "
                f"on RGB images"
            )
        features = self.network(((image + 1) / 2 - self.mean) / self.std)
        return tuple(features[tap] for tap in self.taps)

    def train(self, mode: bool = True) -> TimmFeatures:
        """Keep the evaluation mode, so that the batch norms use their running statistics."""
        return super().train(False)

    def load_weights_(self) -> None:
        """Load the weights.

        Raises:
            OptionError: the file or distribution is missing, unreadable, or does not fit the network.
        """
        if self.weights == "untrained":
            return
        path = packaged_weights(self.model) if self.weights == "package" else Path(self.weights)
        load_timm_weights_(self.network, self.model, path, self._whole)


def _average(network: nn.Module, model: str) -> None:
    """Replace max pooling by average pooling, in place."""
    pools = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.MaxPool2d)]
    if not pools:
        raise OptionError("pooling", f"{model} has no max pooling for 'average' to replace; omit pooling")
    for name, pool in pools:
        parent, _, child = name.rpartition(".")
        average = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, count_include_pad=False)
        setattr(network.get_submodule(parent), child, average)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"
