"""Changes by masks on top of other changes of an image, as `i2i edit` applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from i2i.errors import I2IError
from i2i_edit.editor import Editor, Latent
from i2i_edit.mask_editor import METHOD, MaskEditor
from i2i_edit.perceptual import PerceptualDistance
from i2i_edit.segmentation import Segmenter
from i2i_edit.vectors import EditVector, combined


def masked_change(
    editor: Editor,
    segmenter: Segmenter,
    latent: Latent,
    changes: Sequence[EditVector],
    target: Tensor | None,
    steps: int,
    refine: int | None,
    encoder: Any = None,
) -> tuple[EditVector | None, Tensor]:
    """Refine the vectors of masks among changes, and edit the mask of the changed image.

    Args:
        editor: of the run.
        segmenter: of its images.
        latent: of the image.
        changes: vectors, scaled already.
        target: wanted class numbers [H, W]; None for no edit.
        steps: of the edit.
        refine: steps that restore what vectors of masks change outside of their classes; None for no refinement.
        encoder: a style encoder, to whose style vectors the edit stays close; None without.

    Returns:
        change: the sum of all changes.
        labels: class numbers of the image before the edit of the mask.

    Raises:
        I2IError: no vector of a mask can be refined, or the target cannot be reached.
    """
    distance = PerceptualDistance(device=editor.device)
    encode: Callable[[Tensor], Tensor] | None = None
    if encoder is not None:
        encode = lambda image: encoder.encode(image * 2 - 1)  # noqa: E731  # images are in [0, 1] here

    def masks(changes: Sequence[EditVector]) -> MaskEditor:
        """Edits of what single layers make of the image."""
        total = combined(changes)
        styles = {} if total is None else total.styles
        noise: Any = list(latent.noise) or "const"

        def perceptual(image: Tensor, other: Tensor) -> Tensor:
            return distance(image * 2 - 1, other * 2 - 1).sum()

        return MaskEditor(segmenter, perceptual, encode, noise=noise, styles=styles)

    if refine is not None:
        of_masks = [one for one in changes if one.method == METHOD and one.notes.get("classes")]
        if not of_masks:
            raise I2IError("refine: expected a vector that was saved from an edit of a mask, got none")
        changes = [one for one in changes if one not in of_masks]
        classes = list(dict.fromkeys(name for one in of_masks for name in one.notes["classes"]))
        start = _moved(latent.ws, changes)
        moved = masks(changes).refine(start, _moved(start, of_masks), classes, refine)
        changes = [*changes, EditVector("refined", editor.hash, (moved - start)[0], {}, METHOD, {"classes": classes})]
    start, present = _moved(latent.ws, changes), masks(changes)
    labels = present.view(start).segmentation.labels
    if target is not None:
        changes = [*changes, present.edit(start, target, "mask", steps)]
    total = combined(changes)
    if total is not None and len(changes) > 1 and any(one.method == METHOD for one in changes):
        concerned = dict.fromkeys(name for one in changes for name in one.notes.get("classes", ()))
        total = EditVector(total.name, total.generator, total.ws, total.styles, METHOD, {"classes": list(concerned)})
    return total, labels


def _moved(ws: Tensor, changes: Sequence[EditVector]) -> Tensor:
    total = combined(changes)
    return ws if total is None or total.ws is None else ws + total.ws.to(ws)
