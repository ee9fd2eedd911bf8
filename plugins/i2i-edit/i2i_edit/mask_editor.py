"""Edit images by their segmentation, and keep what was learned as a vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i_edit.mask_editing import (
    LEARNING_RATE,
    STEPS,
    EditLosses,
    EditWeights,
    MaskEdit,
    edited_region,
    optimize_edit,
    to_unit,
)
from i2i_edit.pixel_features import Rendered, render
from i2i_edit.segmentation import Segmentation, Segmenter
from i2i_edit.vectors import EditVector, generator_hash

METHOD = "editgan"


class View(NamedTuple):
    """An image and its segmentation.

    Args:
        image: [1, C, H, W] in [-1, 1].
        segmentation: classes of its pixels.
    """

    image: Tensor
    segmentation: Segmentation


class MaskEditor:
    """Edits images of one generator by their segmentation.

    Args:
        segmenter: of the generator's images.
        perceptual: distance of two images [1, C, H, W] in [0, 1], a number; None for the mean squared error alone,
            which is faster.
        encoder: from an image [1, C, H, W] in [0, 1] to style vectors, to which edits stay close; None without.
        weights: of the losses.
        noise: noise maps of the images, or a mode.
        styles: added to the styles of single layers, by their names.

    Source: Ling et al., EditGAN, NeurIPS 2021, arXiv:2111.03186.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
        encoder: Callable[[Tensor], Tensor] | None = None,
        weights: EditWeights = EditWeights(),  # noqa: B008  # immutable
        noise: Any = "const",
        styles: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.segmenter, self.encoder = segmenter, encoder
        self.translator, self.classes = segmenter.translator, segmenter.classes
        self.perceptual = perceptual or _no_distance
        self.weights, self.noise, self.styles = weights, noise, styles
        self.generator = generator_hash(self.translator.generator)

    @torch.no_grad()
    def view(self, ws: Tensor) -> View:
        """Return the image and the segmentation of style vectors [1, num_ws, w_dim]."""
        rendered = self._render(ws)
        image = rendered.image
        segmentation = self.segmenter.segment(rendered.features, (image.shape[2], image.shape[3]))
        return View(image.clamp(-1, 1), segmentation)

    def edit(
        self,
        ws: Tensor,
        target: Tensor,
        name: str = "edit",
        steps: int = STEPS,
        learning_rate: float = LEARNING_RATE,
        progress: Callable[[int, EditLosses], None] = lambda step, losses: None,
    ) -> EditVector:
        """Find the change of style vectors that gives an image an edited segmentation.

        Args:
            ws: style vectors of the image [1, num_ws, w_dim].
            target: wanted class numbers [H, W]; what differs from the image's segmentation is edited.
            name: of the vector.
            steps: see `optimize_edit`.
            learning_rate: of Adam.
            progress: see `optimize_edit`.

        Raises:
            I2IError: the target has another size, an unknown class, or equals the segmentation.
        """
        before = self.view(ws)
        labels = before.segmentation.labels
        target = target.to(labels.device)
        self._check(target, labels)
        changed = target != labels
        if not changed.any():
            raise I2IError("the mask equals the segmentation of the image, so there is nothing to edit")
        edit = self._towards(target, edited_region(changed), before.image, self.encoder)
        found = optimize_edit(edit, ws, steps, learning_rate, progress)
        numbers = torch.cat([labels[changed], target[changed]]).unique().tolist()  # type: ignore[no-untyped-call]
        notes = {"classes": [self.classes.names[number] for number in numbers]}
        return EditVector(name, self.generator, (found - ws)[0], method=METHOD, notes=notes)

    def refine(
        self,
        ws: Tensor,
        moved: Tensor,
        classes: Sequence[str],
        steps: int = STEPS,
        learning_rate: float = LEARNING_RATE,
    ) -> Tensor:
        """Restore what a vector changed outside of the pixels of its classes.

        Args:
            ws: style vectors before [1, num_ws, w_dim].
            moved: style vectors with the vector.
            classes: names of the classes that the vector changes.
            steps: see `optimize_edit`.
            learning_rate: of Adam.

        Returns:
            ws: style vectors whose segmentation is that of `moved`.

        Raises:
            I2IError: there is no such class.
        """
        numbers = torch.tensor([self.classes.number(name) for name in classes], device=ws.device)
        before, after = self.view(ws), self.view(moved).segmentation.labels
        concerned = torch.isin(before.segmentation.labels, numbers) | torch.isin(after, numbers)
        return optimize_edit(self._towards(after, concerned, before.image, None), moved, steps, learning_rate)

    def apply(self, ws: Tensor, vector: EditVector, refine: int = 0) -> Tensor:
        """Return style vectors [1, num_ws, w_dim] changed by a vector.

        Args:
            ws: style vectors.
            vector: scaled as wanted.
            refine: steps of refinement; 0 for none.

        Raises:
            I2IError: the vector belongs to another generator, or a class of it is unknown.
        """
        if vector.generator != self.generator:
            raise I2IError(
                f"the vector {vector.name} belongs to another generator, {vector.generator[:12]}; this run's is "
                f"{self.generator[:12]}"
            )
        if vector.ws is None or vector.styles:
            raise I2IError(f"the vector {vector.name} changes single layers; expected a change of style vectors")
        moved = ws + vector.ws.to(ws)
        return self.refine(ws, moved, vector.notes.get("classes", ()), refine) if refine else moved

    def _render(self, ws: Tensor) -> Rendered:
        return render(self.translator, ws, self.noise, self.styles)

    def _towards(
        self, target: Tensor, region: Tensor, image: Tensor, encoder: Callable[[Tensor], Tensor] | None
    ) -> MaskEdit:
        original = to_unit(image)
        return MaskEdit(
            self._render, self.segmenter.ensemble, self.perceptual, original, target, region, encoder, self.weights
        )

    def _check(self, target: Tensor, labels: Tensor) -> None:
        if target.shape != labels.shape:
            raise I2IError(
                f"mask: expected {labels.shape[1]} x {labels.shape[0]} pixels, as large as the image, got "
                f"{target.shape[-1]} x {target.shape[0]}"
            )
        if len(unknown := target[(target < 0) | (target >= len(self.classes.names))]):
            raise I2IError(f"mask: there is no class {int(unknown[0])}; classes: {', '.join(self.classes.names)}")


def _no_distance(image: Tensor, other: Tensor) -> Tensor:
    return image.new_zeros(())
