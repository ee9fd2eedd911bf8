"""Networks that measure: from the pixels of one image to a feature vector."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from i2i.core.spelling import did_you_mean
from i2i.errors import CheckpointError, I2IError, OptionError
from i2i.evaluation import preprocessing, weights
from i2i.evaluation.image_sets import Pixels
from i2i.nn.features.timm_weights import load_timm_weights_, packaged_weights

FALLBACK = "tf_efficientnet_lite0"
"""Network of the default protocol where Inception's weights are missing; a package contains its weights."""


class FeatureNetwork:
    """A frozen network with its preprocessing, applied to one image at a time.

    Since each image is computed alone, results depend neither on a batch size nor on how images are shared out.

    Args:
        name: name of the network, which belongs to every figure that is computed with it.
        module: from the prepared input [1, 3, H, W] to features [1, d].
        prepare: from pixels to the input.
        weights_sha256: hash of the weights.
        recipe: name of the preprocessing, which is a part of the key of cached features.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        prepare: Callable[[Pixels], Tensor],
        weights_sha256: str,
        recipe: str,
    ) -> None:
        self.name, self.module, self.prepare = name, module.eval().requires_grad_(False), prepare
        self.weights_sha256, self.recipe = weights_sha256, recipe
        self.device = torch.device("cpu")

    def to(self, device: torch.device | str) -> FeatureNetwork:
        """Move the network to a device."""
        self.device = torch.device(device)
        self.module.to(self.device)
        return self

    @property
    def key(self) -> str:
        """What the features of an image depend on besides the image."""
        text = f"{self.name} {self.weights_sha256} {self.recipe} {self.device.type}"
        return hashlib.sha256(text.encode()).hexdigest()

    @torch.no_grad()
    def __call__(self, pixels: Pixels) -> Tensor:
        """Compute the features [d] of one image, float32 on the CPU.

        Args:
            pixels: [H, W, 3] uint8.
        """
        features: Tensor = self.module(self.prepare(pixels).to(self.device))
        return features.flatten(1)[0].float().cpu()


class Inception(nn.Module):
    """Pooled features of the Inception network that published FID and KID are computed with.

    The network is that of torch-fidelity, without its own preprocessing.

    Args:
        state: the weights.

    Raises:
        CheckpointError: the weights do not fit.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise I2IError(
                "FID and KID with Inception need torch-fidelity, which is not installed: pip install i2i[evaluate]"
            ) from error
        # The constructor unpickles whatever it is given, so it gets the checked tensors, pickled again in memory.
        buffer = BytesIO()
        torch.save(dict(state), buffer)
        buffer.seek(0)
        try:
            self.network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=buffer)
        except RuntimeError as error:
            raise CheckpointError(f"these weights do not fit Inception: {str(error)[:300]}") from error
        self.layers = [layer for name, layer in self.network.named_children() if name != "fc"]

    def forward(self, image: Tensor) -> Tensor:
        """Compute pooled features [B, 2048] of prepared images [B, 3, 299, 299]."""
        for layer in self.layers:  # the network's modules are registered in the order in which it applies them
            image = layer(image)
        return image.flatten(1)


def inception(path: Path, recipe: str, prepare: Callable[[Pixels], Tensor]) -> FeatureNetwork:
    """Return the Inception network with a protocol's preprocessing.

    Args:
        path: file of the weights, `.pth` or safetensors.
        recipe: name of the preprocessing.
        prepare: the preprocessing.

    Raises:
        CheckpointError: the weights do not fit.
    """
    try:
        module = Inception(weights.read(path))
    except CheckpointError as error:
        raise CheckpointError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    return FeatureNetwork("inception", module, prepare, weights.sha256(path), recipe)


def timm_network(model: str, path: Path | None = None, side: int | None = None) -> FeatureNetwork:
    """Return the pooled features of a network of timm, the input of its classifier.

    Args:
        model: name of the network in timm.
        path: file of the weights with timm's names; those of an installed distribution when None.
        side: height and width of the input in pixels; that of the network's training when None.

    Raises:
        OptionError: there is no such network, or the weights are missing or do not fit.
    """
    import timm  # it takes seconds, and protocols with Inception do not need it

    if not timm.is_model(model):
        raise OptionError("features", f"timm has no network {model!r}.{did_you_mean(model, timm.list_models())}")
    path = packaged_weights(model) if path is None else path
    network = create_timm(model)
    load_timm_weights_(network, model, path)
    network.reset_classifier(0)
    return _prepared(model, network, path, side)


def clip_network(path: Path, model: str = "vit_large_patch14_clip_336") -> FeatureNetwork:
    """Return CLIP's image embeddings for CMMD: bicubic to 336 pixels, CLIP's mean and deviation.

    Args:
        path: file of the weights with timm's names, with the projection as `head.weight`.
        model: name of the network in timm.

    Raises:
        OptionError: the weights do not fit.
    """
    network = create_timm(model, num_classes=768)
    load_timm_weights_(network, model, path)
    return _prepared(f"clip {model}", network, path)


def create_timm(model: str, **options: Any) -> Any:
    """Build a network of timm without weights and without drawing from the global generator."""
    import timm

    with torch.random.fork_rng(devices=[]):
        return timm.create_model(model, pretrained=False, **options)


def _prepared(name: str, network: Any, path: Path, side: int | None = None) -> FeatureNetwork:
    """Return a network of timm with the mean, the deviation and by default the size of its training."""
    config = network.pretrained_cfg
    side = side or int(config["input_size"][1])
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    resize = preprocessing.square(side)
    return FeatureNetwork(
        name,
        network,
        lambda pixels: ((resize(pixels) + 1) / 2 - mean) / std,
        weights.sha256(path),
        f"clean-fid resizing to {side}, mean {mean.flatten().tolist()}, std {std.flatten().tolist()}",
    )
