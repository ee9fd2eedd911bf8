"""Measures of DatasetGAN and EditGAN on a generator of drawn portraits.

Samples of an adversarially trained generator have no true label maps. A segmentation network that was trained on
drawings with their true label maps labels the 16 samples, in place of a person, and measures edited images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from i2i_edit.classifier_training import LabelledPixels, train_ensemble
from i2i_edit.mask_editing import edited_region
from i2i_edit.mask_editor import MaskEditor
from i2i_edit.pixel_features import render
from i2i_edit.segmentation import Classes, Segmenter
from i2i_edit.vectors import EditVector
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.demo.label_map import CLASSES, COLORS
from i2i.demo.portrait_truth import PortraitLabels

SIZE, LABELLED = 32, 16


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


def drawings(numbers: range) -> tuple[Tensor, Tensor]:
    """Return drawings [N, 3, 32, 32] in [-1, 1] with their class numbers [N, 32, 32]."""
    data = PortraitLabels(size=SIZE, count=4000)
    samples = [data[number] for number in numbers]
    labels = torch.stack([sample["a"] for sample in samples]).argmax(1)
    return torch.stack([sample["b"] for sample in samples]), labels


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


def mean_iou(found: Tensor, truth: Tensor) -> float:
    """Return the mean over classes of intersection over union."""
    return float(np.mean([iou(found == number, truth == number) for number in range(len(CLASSES))]))


def few_label_segmenter(translator: Any, labeller: UNet, members: int = 3) -> Segmenter:
    """Train classifiers of pixels on 16 samples that a network trained on full truth has labelled."""
    with torch.no_grad():
        ws = translator.styles(range(LABELLED))
        labels = segmented(labeller, translator.synthesize(ws))
    pixels = LabelledPixels([lambda one=one: render(translator, one[None]).features for one in ws], labels)
    ensemble = train_ensemble(pixels, len(CLASSES), members, max_epochs=6)
    return Segmenter(translator, ensemble, Classes.parse(list(zip(CLASSES, COLORS, strict=True)), "drawings"))


def dataset_gan(translator: Any, segmenter: Segmenter, full: UNet, count: int = 300) -> dict[str, float]:
    """Return the mean IoU on held-out drawings of the segmentation network trained on full truth, and on a set of
    generated images without the most uncertain tenth."""
    made = []
    with torch.no_grad():
        for one in translator.styles(range(10**6, 10**6 + count)):
            rendered = render(translator, one[None])
            found = segmenter.segment(rendered.features, (SIZE, SIZE))
            made.append((found.uncertainty, rendered.image[0].clamp(-1, 1), found.labels))
    made = sorted(made, key=lambda item: item[0])[: count - count // 10]
    synthetic = train_unet(torch.stack([image for _, image, _ in made]), torch.stack([labels for *_, labels in made]))
    images, truth = drawings(range(3000, 3120))
    return {
        "full truth": mean_iou(segmented(full, images), truth),
        "dataset_gan": mean_iou(segmented(synthetic, images), truth),
    }


INTO = {"hair": "background", "clothes": "background", "eyes": "skin"}
"""What each class grows into."""


def grown(labels: Tensor, name: str, pixels: int = 2) -> Tensor:
    """Return a segmentation in which a class has grown into another one by some pixels."""
    number = CLASSES.index(name)
    reach = edited_region(labels == number, pixels)
    return torch.where(reach & (labels == CLASSES.index(INTO[name])), number, labels)


def mask_edits(editor: MaskEditor, measure: UNet, name: str, count: int = 4, others: int = 20) -> dict[str, Any]:
    """Let a class grow in some samples, and apply the vector of the best edit to others.

    Returns:
        Means over the edited samples of the IoU of the class with the target, in the region, before and after, by the
        classifiers and by the measuring network; of the squared error outside of the region in [0, 1]; the share of
        other samples in which the measuring network finds more of the class; and the vector.
    """
    number = CLASSES.index(name)
    rows, vectors = [], []
    for seed in range(100, 100 + count):
        ws = editor.translator.styles([seed])
        before = editor.view(ws)
        labels = before.segmentation.labels
        target = grown(labels, name)
        vector = editor.edit(ws, target, name)
        after = editor.view(editor.apply(ws, vector))
        region = edited_region(target != labels)
        wanted = (target == number)[region]
        seen = segmented(measure, torch.cat([before.image, after.image]))
        masks = (labels, after.segmentation.labels, seen[0], seen[1])
        difference = ((after.image - before.image) / 2).square().mean((0, 1))
        rows.append([*(iou((mask == number)[region], wanted) for mask in masks), float(difference[~region].mean())])
        vectors.append(vector)
    best = vectors[int(np.argmax([row[1] - row[0] for row in rows]))]
    keys = ("classifiers before", "classifiers after", "measure before", "measure after", "mse outside")
    share = float(np.mean(grows(editor, measure, [best], [number], range(500, 500 + others))))
    return {**dict(zip(keys, np.mean(rows, 0).tolist(), strict=True)), "works on others": share, "vector": best}


@torch.no_grad()
def grows(
    editor: MaskEditor, measure: UNet, vectors: list[EditVector], numbers: list[int], seeds: range, least: int = 4
) -> list[bool]:
    """Return for each sample whether the area of all classes grows by some pixels with the sum of vectors."""
    ws = editor.translator.styles(seeds)
    change: Any = sum(vector.ws for vector in vectors)
    before, after = (segmented(measure, editor.translator.synthesize(one)) for one in (ws, ws + change))
    found = [((after == number).sum((1, 2)) - (before == number).sum((1, 2))) >= least for number in numbers]
    return list(torch.stack(found).all(0).tolist())
