"""Distances of two images in the features of a frozen network: LPIPS, its stand-in, and DINO's structure distance."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import CheckpointError, I2IError
from i2i.evaluation import weights
from i2i.evaluation.networks import create_timm
from i2i.evaluation.weights import sha256
from i2i.nn.features.timm_weights import load_timm_weights_, packaged_weights
from i2i.nn.weight_files import few


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, version 0.1.

    The package lpips brings its calibrated heads; the trunk comes from the user's file, with the names of torchvision
    (`features.0.weight`) or of lpips (`slice1.0.weight`).

    Source: Zhang et al., CVPR 2018, arXiv:1801.03924.

    Args:
        path: file of the trunk's weights.
        net: `alex`, `vgg` or `squeeze`.

    Raises:
        I2IError: the package is not installed.
        CheckpointError: the weights do not fit.
    """

    def __init__(self, path: Path, net: str = "alex") -> None:
        super().__init__()
        try:
            import lpips
        except ImportError as error:
            raise I2IError(
                "LPIPS needs the package lpips, which is not installed: pip install i2i[evaluate]"
            ) from error
        with torch.random.fork_rng(devices=[]):
            network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        state, expected = weights.read(path), network.net.state_dict()
        # torchvision numbers all layers, and lpips keeps these numbers inside of its slices.
        by_number = {
            re.sub(r"^(features|slice\d+)\.", "", name): value
            for name, value in state.items()
            if re.match(r"(features|slice\d+)\.", name)
        }
        given = {name: by_number.get(name.partition(".")[2]) for name in expected}
        wrong = [name for name, value in given.items() if value is None or value.shape != expected[name].shape]
        if wrong:
            raise CheckpointError(f"{path} does not fit the trunk {net!r} of LPIPS: it lacks {few(wrong)}")
        network.net.load_state_dict(cast("dict[str, Tensor]", given))
        self.network = network.eval().requires_grad_(False)
        self.name = f"lpips-{net}"
        self.weights_sha256 = sha256(path)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Compute the distance [B] of images [B, 3, H, W] in [-1, 1] from others of the same shape."""
        return cast(Tensor, self.network(image, target)).flatten()


class FeatureDistance(nn.Module):
    r"""Mean squared distance of unit-length features at several layers, LPIPS without calibrated heads.

    .. math:: \frac{1}{T} \sum_t \mathbb{E}_{hw} \big| f_t(x)_{hw} / |f_t(x)_{hw}| - f_t(y)_{hw} / |f_t(y)_{hw}| \big|^2

    It stands in for LPIPS where only the weights of a package are there; the numbers are not comparable with LPIPS.

    Args:
        model: network of timm.
        taps: names of its layers.
        weights: `package`, `untrained` or a file, as those of the feature extractor `timm`.
    """

    def __init__(
        self,
        model: str = "tf_efficientnet_lite0",
        taps: tuple[str, ...] = ("bn1", "blocks.1", "blocks.2", "blocks.4", "blocks.6"),
        weights: Any = "package",
    ) -> None:
        super().__init__()
        self.extractor = FEATURE_EXTRACTOR("timm", model=model, weights=weights)(taps)
        self.extractor.load_weights_()
        self.model, self.name = model, f"feature_distance ({model})"
        file = packaged_weights(model) if weights == "package" else weights
        self.weights_sha256 = "" if weights == "untrained" else sha256(Path(file))

    @torch.no_grad()
    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Compute the distance [B] of images [B, 3, H, W] in [-1, 1] from others of the same shape."""
        distances = []
        for x, y in zip(self.extractor(image), self.extractor(target), strict=True):
            difference = F.normalize(x.double(), dim=1) - F.normalize(y.double(), dim=1)
            distances.append(difference.square().sum(1).mean((1, 2)))
        return torch.stack(distances).mean(0).float()


def diversity(distance: Callable[[Tensor, Tensor], Tensor], outputs: Tensor) -> Tensor:
    """Compute the mean distance of all pairs among several outputs for each input, [B].

    Source: Zhu et al., NeurIPS 2017, arXiv:1711.11586, section 5.3, with LPIPS as the distance.

    Args:
        distance: function of two batches of images, such as `LPIPS` or `FeatureDistance`.
        outputs: [B, k, 3, H, W] in [-1, 1], k > 1 outputs of a method with styles.
    """
    pairs = list(combinations(range(outputs.shape[1]), 2))
    return torch.stack([distance(outputs[:, i], outputs[:, j]) for i, j in pairs]).mean(0)


def self_similarity(keys: Tensor) -> Tensor:
    """Compute the cosine similarity of all pairs of tokens.

    Args:
        keys: [B, tokens, C].

    Returns:
        similarity: [B, tokens, tokens].
    """
    unit = F.normalize(keys, dim=2)
    return unit @ unit.mT


def structure_distance(keys: Tensor, target_keys: Tensor) -> Tensor:
    """Compute DINO's structure distance [B]: the mean squared difference of the self-similarities of keys.

    Source: Tumanyan et al., CVPR 2022, arXiv:2201.00424, as img2img-turbo measures it.

    Args:
        keys: [B, tokens, C], of the deepest layer of DINO's ViT.
        target_keys: of the same shape.
    """
    return (self_similarity(keys) - self_similarity(target_keys)).square().mean((1, 2))


class DINOStructure(nn.Module):
    """Structure distance of two images by the keys of the last layer of DINO's ViT-B/8.

    Images are resized so that the shorter side has 224 pixels.

    Args:
        path: file of the weights.
        model: network of timm.
        side: shorter side in pixels.

    Raises:
        OptionError: the weights do not fit.
    """

    def __init__(self, path: Path, model: str = "vit_base_patch8_224.dino", side: int = 224) -> None:
        super().__init__()
        network = create_timm(model, num_classes=0, dynamic_img_size=True)
        load_timm_weights_(network, model, path)
        self.network: Any = network.eval().requires_grad_(False)
        self.side, self.patch = side, tuple(network.patch_embed.patch_size)
        self.name, self.weights_sha256 = "dino_structure", sha256(path)
        self.mean, self.std = (torch.tensor(network.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))

    def keys(self, image: Tensor) -> Tensor:
        """Compute the keys [B, tokens, C] of images [B, 3, H, W] in [-1, 1]."""
        height, width = image.shape[2:]
        scale = self.side / min(height, width)
        size = [round(side * scale) // patch * patch for side, patch in zip((height, width), self.patch, strict=True)]
        resized = F.interpolate((image + 1) / 2, size, mode="bilinear", antialias=True, align_corners=False)
        found: list[Tensor] = []
        handle = self.network.blocks[-1].attn.qkv.register_forward_hook(lambda *call: found.append(call[2]))
        try:
            self.network.forward_features((resized - self.mean.to(image)) / self.std.to(image))
        finally:
            handle.remove()
        return found[0].chunk(3, dim=2)[1]

    @torch.no_grad()
    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Compute the structure distance [B] of images [B, 3, H, W] in [-1, 1] from others of the same shape."""
        return structure_distance(self.keys(image), self.keys(target))
