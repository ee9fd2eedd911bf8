"""Taggers: any classifier of timm, a text-image encoder, and a network that measures drawn portraits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.factory import Factory
from i2i.errors import OptionError
from i2i.evaluation.networks import create_timm
from i2i.nn.features.timm_weights import load_timm_weights_
from i2i_edit.kinds import TextImageEncoder
from i2i_edit.text import text_distance


class TimmTagger(nn.Module):
    """A classifier or tagger of timm, from a file of its weights.

    Args:
        weights: state dict, safetensors or written by `torch.save`.
        tags: names of its outputs, in their order.
        model: name of the network in timm.
        activation: `sigmoid` where an image has several tags, `softmax` where it has one.
        side: side in pixels to which images are resized; that of the network's training when None.

    Raises:
        OptionError: the weights are missing or do not fit.
    """

    def __init__(
        self,
        weights: Path,
        tags: tuple[str, ...],
        model: str = "tf_efficientnet_lite0",
        activation: Literal["sigmoid", "softmax"] = "sigmoid",
        side: int | None = None,
    ) -> None:
        super().__init__()
        if not tags:
            raise OptionError("tags", "expected the names of the network's outputs")
        self.network = create_timm(model, num_classes=len(tags))
        load_timm_weights_(self.network, model, Path(weights))
        self.network.eval().requires_grad_(False)
        config = self.network.pretrained_cfg
        self.side = side or int(config["input_size"][1])
        self.mean, self.std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
        self.tags, self.activation = tags, activation

    def forward(self, image: Tensor) -> Tensor:
        """Return scores [B, tags] of images [B, 3, H, W] in [-1, 1]."""
        resized = F.interpolate(image, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False)
        logits: Tensor = self.network(((resized + 1) / 2 - self.mean.to(image)) / self.std.to(image))
        return logits.sigmoid() if self.activation == "sigmoid" else logits.softmax(1)


class TextTagger(nn.Module):
    """Tags by texts: how much nearer an image is to a text with the tag than to one without it.

    Args:
        encoder: factory of the encoder of texts and images.
        with_tag: text of an image with the tag, by tag.
        without: text of an image without it, by tag.
        sharpness: factor of the difference of the cosines.

    Raises:
        OptionError: a tag lacks one of its texts.
    """

    def __init__(
        self,
        encoder: Factory[TextImageEncoder],
        with_tag: dict[str, str],
        without: dict[str, str],
        sharpness: float = 20.0,
    ) -> None:
        super().__init__()
        if not with_tag or with_tag.keys() != without.keys():
            raise OptionError("without", f"expected a text for each tag of with_tag, {', '.join(with_tag) or 'none'}")
        self.encoder: Any = encoder()
        self.tags, self.sharpness = tuple(with_tag), sharpness
        with torch.no_grad():
            self.present = self.encoder.embed_text([with_tag[tag] for tag in self.tags])
            self.absent = self.encoder.embed_text([without[tag] for tag in self.tags])

    def forward(self, image: Tensor) -> Tensor:
        """Return scores [B, tags] of images [B, 3, H, W] in [-1, 1]."""
        found = self.encoder.embed_image(image)
        difference = text_distance(found, self.absent) - text_distance(found, self.present)
        return (self.sharpness * difference).sigmoid()


class DrawnPortraitTagger(nn.Module):
    """Measures i2i's drawn portraits by a small network, which is trained on drawings first, in about a minute.

    Args:
        weights: file of the network, which is written after training; None trains each time.
    """

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        from safetensors.torch import load_file, save_file

        from i2i.data.writing import write_whole
        from i2i.demo.attribute_network import AttributeNetwork, train_attribute_network
        from i2i.demo.attributes import TAGS

        self.tags = TAGS
        if weights is not None and Path(weights).is_file():
            self.network = AttributeNetwork().eval().requires_grad_(False)
            self.network.load_state_dict(load_file(weights))
        else:
            self.network = train_attribute_network()
            if weights is not None:
                state: Mapping[str, Tensor] = self.network.state_dict()
                write_whole(Path(weights), lambda temporary: save_file(dict(state), temporary))

    def forward(self, image: Tensor) -> Tensor:
        """Return scores [B, tags] of images [B, 3, H, W] in [-1, 1]."""
        tags: Tensor = self.network(image)[0]
        return tags.sigmoid()
