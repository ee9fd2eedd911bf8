"""Measures of DatasetGAN and EditGAN on a generator whose codes say which character it draws.

Label maps of characters are true: those of the 16 labelled drawings, those that edits should reach, and those that a
segmentation network is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from fitted_portraits import SIZE, character_of, drawn
from i2i_edit.classifier_training import LabelledPixels, train_ensemble
from i2i_edit.mask_editing import edited_region
from i2i_edit.mask_editor import MaskEditor
from i2i_edit.pixel_features import render
from i2i_edit.segmentation import Classes, Segmenter
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.demo.attribute_network import AttributeNetwork
from i2i.demo.label_map import CLASSES, COLORS, label_map

LABELLED, STEPS, RATE = 16, 50, 0.3
"""Number of labelled drawings; steps and learning rate of edits."""


class UNet(nn.Module):
    """A small segmentation network from images [B, 3, 32, 32] to logits [B, classes, 32, 32]."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU())

        self.first, self.second, self.third = block(3, width), block(width, 2 * width), block(2 * width, 4 * width)
        self.up, self.last = block(6 * width, 2 * width), block(3 * width, width)
        self.head = nn.Conv2d(width, len(CLASSES), 1)

    def forward(self, image: Tensor) -> Tensor:
        a = self.first(image)
        b = self.second(F.max_pool2d(a, 2))
        c = self.third(F.max_pool2d(b, 2))
        x = self.up(torch.cat([F.interpolate(c, scale_factor=2.0), b], 1))
        found: Tensor = self.head(self.last(torch.cat([F.interpolate(x, scale_factor=2.0), a], 1)))
        return found


def train_unet(images: Tensor, labels: Tensor, steps: int = 250, seed: int = 0) -> UNet:
    """Train the segmentation network."""
    torch.manual_seed(seed)
    network, draws = UNet(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, steps)
    for _ in range(steps):
        chosen = torch.randint(len(images), (16,), generator=draws)
        noise = 0.1 * torch.randn(16, 3, SIZE, SIZE, generator=draws)
        loss = F.cross_entropy(network(images[chosen] + noise), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)


@torch.no_grad()
def segmented(network: UNet, images: Tensor) -> Tensor:
    """Return class numbers [N, H, W]."""
    return torch.cat([network(part).argmax(1) for part in images.split(64)])


def iou(one: Tensor, other: Tensor) -> float:
    """Return intersection over union of two masks; 1 for two empty ones."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def by_class(found: Tensor, truth: Tensor) -> dict[str, float]:
    """Return intersection over union by class."""
    return {name: iou(found == number, truth == number) for number, name in enumerate(CLASSES)}


def few_label_segmenter(translator: Any, members: int = 3) -> Segmenter:
    """Train classifiers of pixels on 16 labelled drawings."""
    seeds = range(LABELLED)
    _, labels = drawn(translator.latents(seeds)[0])
    ws = translator.styles(seeds)
    pixels = LabelledPixels([lambda one=one: render(translator, one[None]).features for one in ws], labels)
    ensemble = train_ensemble(pixels, len(CLASSES), members)
    return Segmenter(translator, ensemble, Classes.parse(list(zip(CLASSES, COLORS, strict=True)), "drawings"))


def full_truth(translator: Any, count: int = 300) -> UNet:
    """Train the segmentation network on drawings with their true label maps."""
    return train_unet(*drawn(translator.latents(range(2 * 10**6, 2 * 10**6 + count))[0]))


def dataset_gan(translator: Any, segmenter: Segmenter, count: int = 300) -> UNet:
    """Train it on generated images with the classifiers' labels, without the most uncertain tenth."""
    made = []
    with torch.no_grad():
        for one in translator.styles(range(10**6, 10**6 + count)):
            rendered = render(translator, one[None])
            found = segmenter.segment(rendered.features, (SIZE, SIZE))
            made.append((found.uncertainty, rendered.image[0].clamp(-1, 1), found.labels))
    made = sorted(made, key=lambda item: item[0])[: count - count // 10]
    return train_unet(torch.stack([image for _, image, _ in made]), torch.stack([labels for *_, labels in made]))


def measured_iou(translator: Any, network: UNet, seeds: range) -> dict[str, float]:
    """Return a segmentation network's intersection over union by class on the drawings of seeds."""
    images, truth = drawn(translator.latents(seeds)[0])
    return by_class(segmented(network, images), truth)


@dataclass(frozen=True)
class Change:
    """An edit of a character's label map.

    Args:
        attribute: of `AttributeNetwork` that it gives to images.
        number: of the class that it adds.
        settings: of the character with it.
    """

    attribute: str
    number: int
    settings: Mapping[str, Any]


CHANGES = {
    "long hair": Change("long_hair", CLASSES.index("hair"), {"style": "long"}),
    "glasses": Change("glasses", CLASSES.index("glasses"), {"glasses": True}),
}


def without(translator: Any, network: AttributeNetwork, names: Iterable[str], seeds: range, count: int) -> list[int]:
    """Return the first seeds whose images have none of the attributes of some changes."""
    measured = network.measure(translator.synthesize(translator.styles(seeds)))
    free = torch.stack([measured[CHANGES[name].attribute] < 0.5 for name in names]).all(0)
    return [seed for seed, one in zip(seeds, free.tolist(), strict=True) if one][:count]


def mask_edit(segmenter: Segmenter, network: AttributeNetwork, name: str, seeds: range, count: int = 5) -> Any:
    """Edit the label maps of some samples without a change into those of the same characters with it.

    Returns:
        Means over the samples of the IoU of the class with the target in the region before and after, and of the
        squared error outside of the region in [0, 1]; and the mean of the vectors.
    """
    change, rows, vectors = CHANGES[name], [], []
    translator, editor = segmenter.translator, MaskEditor(segmenter)
    for seed in without(translator, network, [name], seeds, len(seeds)):
        ws = translator.styles([seed])
        person = character_of(translator.latents([seed])[0][0])
        if len(rows) == count or replace(person, **change.settings) == person:
            continue
        before = editor.view(ws)
        labels = before.segmentation.labels
        plain, wanted = (
            torch.from_numpy(label_map(one, SIZE)).long() for one in (person, replace(person, **change.settings))
        )
        target = torch.where(plain != wanted, wanted, labels)
        vector = editor.edit(ws, target, name, STEPS, RATE)
        after = editor.view(editor.apply(ws, vector))
        region = edited_region(target != labels)
        masks = [one == change.number for one in (labels, after.segmentation.labels, target)]
        difference = ((after.image - before.image) / 2).square().mean((0, 1))
        rows.append([*(iou(mask[region], masks[2][region]) for mask in masks[:2]), float(difference[~region].mean())])
        vectors.append(vector)
    mean = sum(vectors[1:], vectors[0]) * (1 / len(vectors))
    return {**dict(zip(("before", "after", "outside"), np.mean(rows, 0).tolist(), strict=True)), "vector": mean}


@torch.no_grad()
def works(
    translator: Any,
    network: AttributeNetwork,
    measure: UNet,
    changes: Mapping[str, Any],
    seeds: range,
    count: int = 20,
    least: int = 4,
) -> dict[str, float]:
    """Return shares of samples without any of some changes, to which the sum of their vectors is added.

    Returns:
        Of those in which a segmentation network finds more of all classes, by some pixels, and of those that have all
        attributes afterwards.
    """
    ws = translator.styles(without(translator, network, changes, seeds, count))
    assert len(ws) == count
    images = [translator.synthesize(one) for one in (ws, ws + sum(vector.ws for vector in changes.values()))]
    before, after = (segmented(measure, one) for one in images)
    attributes = network.measure(images[1])
    grows = [
        (after == one.number).sum((1, 2)) - (before == one.number).sum((1, 2)) >= least
        for one in (CHANGES[name] for name in changes)
    ]
    has = [attributes[CHANGES[name].attribute] > 0.5 for name in changes]
    return {name: float(torch.stack(rows).all(0).float().mean()) for name, rows in (("grows", grows), ("has", has))}
