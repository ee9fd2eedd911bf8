"""Images of any number of domains, with their domains as labels and further images as references of style."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import torch
from torch import Tensor

from i2i.core.bounds import height_width
from i2i.core.contracts import Stream
from i2i.data.base import ImageDataset
from i2i.errors import OptionError

RESERVED = (".", "..", "image", "label", "reference", "reference_2", "reference_label")
"""What no domain can be called: no folder has the first names, and streams have the others."""


class LabelledImages(ImageDataset):
    """Base class of data sets of labelled images of any number of domains.

    A sample is an image of a random domain and two reference images of another random domain, which may be the same.
    Each domain is equally frequent, however many images it has. A sample depends on seed and number alone.

    A subclass keeps `domains`, `size` and `seed` as attributes and implements `image_of`.
    """

    domains: tuple[str, ...]
    seed: int

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Streams of a sample: `image` with its domain `label`, `reference` and `reference_2` with `reference_label`.

        The images of each domain are declared under its name, too, for whoever translates one.

        Args:
            options: every option of the constructor by name.
        """
        image = Stream("image", options.get("channels", 3), height_width(options["size"]))
        label = Stream("label", len(options["domains"]), names=tuple(options["domains"]))
        references = {"reference": image, "reference_2": image, "reference_label": label}
        return {"image": image, "label": label, **references, **dict.fromkeys(options["domains"], image)}

    @classmethod
    def check(cls, domains: tuple[str, ...]) -> None:
        """Refuse names of domains that could be no folders next to each other.

        Raises:
            OptionError: fewer than two, one twice, or no name of a folder.
        """
        if len(domains) < 2:
            raise OptionError("domains", f"expected the names of at least two domains, got {list(domains)}")
        for name in domains:
            if not name or name in RESERVED or {*"/\\"} & {*name} or " · " in name:
                raise OptionError("domains", f"expected names of folders, got {name!r}")
            if domains.count(name) > 1:
                raise OptionError("domains", f"{name!r} occurs twice")

    def __getitem__(self, number: int) -> dict[str, object]:
        """Sample `number` >= 0; in place of a damaged file comes the next one of its domain.

        Returns:
            sample: `image`, `reference` and `reference_2`, [3, H, W] in [-1, 1]; `label` and `reference_label`, numbers
            of domains; "skipped", a line for each damaged file on the way.
        """
        # A fresh generator for each sample: one that lives on would depend on what this process drew before.
        random = Random(f"{self.seed} domains {number}")
        label, target = (int(random.random() * len(self.domains)) for _ in range(2))
        skipped: list[str] = []
        names = {"image": label, "reference": target, "reference_2": target}
        images = {name: self.image_of(self.domains[domain], random, skipped) for name, domain in names.items()}
        labels = {"label": torch.tensor(label), "reference_label": torch.tensor(target)}
        return {**images, **labels, "skipped": skipped}

    def image_of(self, domain: str, random: Random, skipped: list[str]) -> Tensor:
        """Return a random training image of a domain, [3, H, W] in [-1, 1].

        Args:
            domain: name of the domain.
            random: generator of whatever is drawn.
            skipped: gets a line for each damaged file.
        """
        raise NotImplementedError
