"""The feature extractor `drawn_tags`: attributes of drawn portraits, in the place of illustration2vec's tags."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from i2i import OptionError
from i2i.core.bounds import Positive
from i2i.core.spelling import did_you_mean
from i2i.demo.attribute_network import AttributeNetwork, train_attribute_network
from i2i.demo.attributes import NUMBERS, TAGS
from i2i.demo.eye_network import EYE_NUMBERS, EyeColorNetwork, train_eye_network


class DrawnTags(nn.Module):
    """Attributes that a small network measures in anime drawings of `portraits`: logits of tags, standardized numbers.

    Its weights come from a training on drawings of known attributes, which takes less than a minute and happens once,
    before a run starts; checkpoints contain them.

    Args:
        taps: one name, which is not used: there is one result.
        names: attributes, of `i2i.demo.attributes.TAGS` and `NUMBERS`, and eye_red, eye_green and eye_blue, the colour
            of the eyes, for which a second network is trained.
        drawings: number of drawings of its training.
        epochs: passes over them.
        poses: factor of the spread of places and tilts in these drawings, as of the data set `portraits`.
        photos: whether half of the drawings are photos of `portraits`, so that photos are measured, too.
    """

    def __init__(
        self,
        taps: tuple[int | str, ...] = ("tags",),
        names: tuple[str, ...] = ("hair_red", "hair_green", "hair_blue"),
        drawings: Positive = 1200,
        epochs: Positive = 10,
        poses: Annotated[float, Ge(0), Le(4)] = 1,
        photos: bool = False,
    ) -> None:
        super().__init__()
        self.check(names)
        self.names, self.drawings, self.epochs, self.poses, self.photos = names, drawings, epochs, poses, photos
        self.network = AttributeNetwork().eval().requires_grad_(False)
        self.eyes = EyeColorNetwork().eval().requires_grad_(False) if set(names) & set(EYE_NUMBERS) else None
        self.num_features = (len(names),)

    @classmethod
    def check(cls, names: tuple[str, ...]) -> None:
        """Refuse no names, and unknown ones."""
        known = (*TAGS, *NUMBERS, *EYE_NUMBERS)
        if wrong := [name for name in names if name not in known]:
            raise OptionError("names", f"no attribute {wrong[0]!r}.{did_you_mean(wrong[0], known)}")
        if not names:
            raise OptionError("names", "expected at least one attribute, got none")

    @property
    def source(self) -> str:
        """Which network with which weights."""
        return f"attribute network of drawn portraits, trained on {self.drawings} drawings"

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return attributes [B, n, 1, 1] of images [B, 3, H, W] in [-1, 1], with a gradient to the images."""
        known, values = (*TAGS, *NUMBERS), torch.cat(self.network(image), 1)
        if self.eyes is not None:
            known, values = (*known, *EYE_NUMBERS), torch.cat([values, self.eyes(image)], 1)
        places = [known.index(name) for name in self.names]
        return (values[:, places, None, None],)

    def train(self, mode: bool = True) -> DrawnTags:
        """Stay in evaluation mode."""
        return super().train(False)

    def load_weights_(self) -> None:
        """Train the network on drawings."""
        trained = train_attribute_network(self.drawings, self.epochs, poses=self.poses, photos=self.photos)
        self.network.load_state_dict(trained.state_dict())
        if self.eyes is not None:
            self.eyes.load_state_dict(train_eye_network(poses=self.poses).state_dict())
