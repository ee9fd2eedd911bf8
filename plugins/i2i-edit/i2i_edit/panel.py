"""Panel "Edit" of the web page: sliders for directions and vectors, a brush on the segmentation, words."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from i2i_stylegan.style_translators import StyleGAN2
from safetensors.torch import save
from torch import Tensor

from i2i.data.images import to_image
from i2i.errors import I2IError
from i2i.use.loaded import Loaded, load
from i2i.use.serving import panel_values
from i2i_edit.editor import DIRECTIONS, Editor, Latent
from i2i_edit.finding import sefa_directions
from i2i_edit.kinds import TEXT_IMAGE_ENCODER
from i2i_edit.mask_editor import METHOD, MaskEditor
from i2i_edit.pixel_features import render
from i2i_edit.projection import Options
from i2i_edit.segmentation import CLASSIFIERS, Segmenter
from i2i_edit.text_editor import TextEditor
from i2i_edit.vectors import EditVector, generator_hash, load_vector, packed

TEXT_ENCODER, STYLE_ENCODER = "text_encoder", "style_encoder"
"""Folders of further runs inside of a run folder: for words, and for the start of a projection."""
PROJECTION_STEPS, TEXT_STEPS = 100, 40
SEFA = 8
"""Number of directions by SeFa that become sliders; they need no samples."""
RANGE = 3.0
"""Largest strength of a slider."""
LIVE_STEPS, LIVE_RATE = 16, 0.04
"""Half of the official number of steps, each twice as large, so that a stroke of the brush is answered in a second."""
MOST_VECTORS = 64
LARGEST = 1e3
"""Of a number in style vectors."""


class EditPanel:
    """Edits images of a StyleGAN; all of an image's state comes with each request.

    A state is `ws`, style vectors as base64 of float32, `directions`, strengths by name, and `vectors`, a list of
    changes `ws` with a `scale`.

    Args:
        model: a run whose generator has styles.
    """

    title = "Edit"
    folder: ClassVar[Path] = Path(__file__).parent / "page"

    def __init__(self, model: Loaded) -> None:
        self.translator: Any = model.translator
        self.generator = generator_hash(self.translator.generator)
        average: Tensor = self.translator.generator.mapping.w_avg
        self.shape: tuple[int, int] = (self.translator.generator.num_ws, len(average))
        self.device, self.dtype = average.device, average.dtype
        self.notes: list[str] = []
        self.editor: MaskEditor | None = None
        self.images = Editor(model)
        self.text_encoder: Any = None
        self.style_encoder: Any = None
        self.directions = {one.name: one for one in sefa_directions(self.images, SEFA)}
        if model.folder is not None:
            for path in sorted((model.folder / DIRECTIONS).glob("*.safetensors")):
                self._try(lambda path=path: self._add(load_vector(path, self.generator)))  # type: ignore[misc]
            if (model.folder / CLASSIFIERS).is_file():
                self._try(lambda: self._load_editor(model.folder / CLASSIFIERS))  # type: ignore[operator]
            if (model.folder / TEXT_ENCODER).is_dir():
                self._try(lambda: self._load_text_encoder(model.folder / TEXT_ENCODER))  # type: ignore[operator]
            if (model.folder / STYLE_ENCODER).is_dir():
                self._try(lambda: self._load_style_encoder(model.folder / STYLE_ENCODER))  # type: ignore[operator]

    @classmethod
    def accepts(cls, model: Loaded) -> bool:
        translator: Any = model.translator
        return isinstance(translator, StyleGAN2) and translator.generator.synthesis.blocks[0].architecture == "skip"

    @property
    def actions(self) -> Mapping[str, Any]:
        return {
            "describe": self.describe,
            "start": self.start,
            "render": self.render,
            "brush": self.brush,
            "refine": self.refine,
            "save": self.save,
            "load": self.load,
            "project": self.project,
            "words": self.words,
        }

    def describe(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what the page shows: classes, directions, and what is missing."""
        classes = self.editor.classes if self.editor else None
        return {
            "classes": [] if classes is None else list(zip(classes.names, classes.hex_colors, strict=True)),
            "directions": [{"name": name, "method": vector.method} for name, vector in self.directions.items()],
            "range": RANGE,
            "words": self.text_encoder is not None,
            "projects": True,
            "notes": self.notes,
        }

    def start(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the style vectors of `seed`."""
        with torch.no_grad():
            ws = self.translator.styles([panel_values.whole(values, "seed", 0, 2**32)])
        return {"ws": encode(ws[0])}

    def render(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the image of a `state`, and its segmentation where there are classifiers."""
        return self._view(self._total(values.get("state")))

    def brush(self, values: dict[str, Any]) -> dict[str, Any]:
        """Change the image of a `state` towards a `mask`; return the change with the new image."""
        editor = self._editor()
        ws = self._total(values.get("state"))
        target = editor.classes.numbers_of(panel_values.image(values, "mask"), editor.segmenter.size, "mask")
        steps = panel_values.whole(values, "steps", 2, 200, LIVE_STEPS)
        vector = editor.edit(ws, target, steps=steps, learning_rate=LIVE_RATE)
        assert vector.ws is not None
        return {
            "ws": encode(vector.ws),
            "classes": vector.notes["classes"],
            **self._view(ws + vector.ws),
        }

    def refine(self, values: dict[str, Any]) -> dict[str, Any]:
        """Restore what a `vector` changed in the image of a `state` outside of the vector's `classes`."""
        editor = self._editor()
        ws = self._total(values.get("state"))
        moved = ws + self._change(values.get("vector"))
        names = values.get("classes")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise I2IError("classes: expected a list of names")
        refined = editor.refine(ws, moved, names, panel_values.whole(values, "steps", 2, 200, 30))
        return {"ws": encode((refined - ws)[0]), **self._view(refined)}

    def save(self, values: dict[str, Any]) -> bytes:
        """Return a `vector` as a file."""
        change = self._change(values.get("vector"))
        name = values.get("name")
        if not isinstance(name, str) or not 0 < len(name.strip()) <= 60:
            raise I2IError("name: expected 1 to 60 characters")
        classes = values.get("classes", [])
        if not isinstance(classes, list) or not all(isinstance(one, str) and len(one) < 100 for one in classes):
            raise I2IError("classes: expected a list of names")
        vector = EditVector(name.strip(), self.generator, change, method=METHOD, notes={"classes": classes[:256]})
        return save(*packed(vector))

    def load(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the vector of a file, whose `content` comes as base64."""
        content = decode_bytes(values.get("content"), "content")
        with tempfile.TemporaryDirectory(prefix="i2i-") as folder:
            path = Path(folder) / "vector.safetensors"
            path.write_bytes(content)
            try:
                vector = load_vector(path, self.generator)
            except I2IError as error:
                raise I2IError(str(error).replace(str(path), "this file")) from error
        if vector.ws is None or vector.ws.shape != self.shape:
            raise I2IError(f"this file: expected a change of style vectors {list(self.shape)}, found another one")
        return {"ws": encode(vector.ws), "name": vector.name, "classes": list(vector.notes.get("classes", []))}

    def project(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the style vectors of an `image`; its noise maps are left out, for the page has one set of them."""
        image = self.images.prepare(panel_values.image(values, "image"))
        steps = panel_values.whole(values, "steps", 1, 1000, PROJECTION_STEPS)
        latent = self.images.project(image, Options(steps=steps, space="w+"), self.style_encoder, pixel_weight=1.0)
        return {"ws": encode(latent.ws[0])}

    def words(self, values: dict[str, Any]) -> dict[str, Any]:
        """Change the image of a `state` towards a `text`; return the change."""
        text = values.get("text")
        if not isinstance(text, str) or not text.strip():
            raise I2IError("text: expected words such as red hair, got an empty text")
        if self.text_encoder is None:
            raise I2IError(f"this run has no folder {TEXT_ENCODER} with a run of caption_encoder")
        latent = Latent(self._total(values.get("state")))
        vector = TextEditor(self.images, self.text_encoder).edit(latent, text, TEXT_STEPS)
        assert vector.ws is not None
        return {"ws": encode(vector.ws)}

    def _editor(self) -> MaskEditor:
        if self.editor is None:
            raise I2IError("this run has no classifiers of pixels; label samples and train them with i2i dataset-gan")
        return self.editor

    def _load_editor(self, path: Path) -> None:
        self.editor = MaskEditor(Segmenter.load(self.translator, path))

    def _load_text_encoder(self, folder: Path) -> None:
        self.text_encoder = TEXT_IMAGE_ENCODER("captions", run=folder)()

    def _load_style_encoder(self, folder: Path) -> None:
        translator: Any = load(folder, str(self.device)).translator
        if generator_hash(translator.generator) != self.generator:
            raise I2IError(f"{folder}: this style encoder belongs to another generator")
        self.style_encoder = translator

    def _add(self, vector: EditVector) -> None:
        if vector.ws is None or vector.ws.shape not in (self.shape, (1, self.shape[1]), self.shape[1:]):
            raise I2IError(f"vector {vector.name}: it changes single layers, which this page cannot show")
        self.directions[vector.name] = vector

    def _try(self, work: Callable[[], None]) -> None:
        """Do without what cannot be loaded, and say so on the page."""
        try:
            work()
        except I2IError as error:
            self.notes.append(str(error))

    def _tensor(self, text: object, name: str) -> Tensor:
        content = decode_bytes(text, name)
        if len(content) != 4 * self.shape[0] * self.shape[1]:
            raise I2IError(
                f"{name}: expected {list(self.shape)} numbers of float32 as base64, got {len(content)} bytes"
            )
        tensor = torch.frombuffer(bytearray(content), dtype=torch.float32).view(self.shape)
        if not bool((tensor.abs() <= LARGEST).all()):
            raise I2IError(f"{name}: expected finite numbers of at most {LARGEST:g}")
        return tensor.to(self.device, self.dtype)

    def _change(self, value: object) -> Tensor:
        if not isinstance(value, dict):
            raise I2IError("vector: expected an object with ws and scale")
        return self._tensor(value.get("ws"), "ws") * panel_values.number(value, "scale", -100, 100, 1.0)

    def _total(self, state: object) -> Tensor:
        """Return the style vectors [1, num_ws, w_dim] of a state."""
        if not isinstance(state, dict):
            raise I2IError("state: expected an object with ws, directions and vectors")
        ws = self._tensor(state.get("ws"), "ws")
        strengths, vectors = state.get("directions", {}), state.get("vectors", [])
        if not isinstance(strengths, dict) or not isinstance(vectors, list) or len(vectors) > MOST_VECTORS:
            raise I2IError(f"state: expected an object of directions and a list of at most {MOST_VECTORS} vectors")
        for name in strengths:
            if name not in self.directions:
                raise I2IError(f"directions: there is no {name[:60]!r}; directions: {', '.join(self.directions)}")
            change = self.directions[name].ws
            assert change is not None
            ws = ws + panel_values.number(strengths, name, -100, 100) * change.to(ws)
        return sum((self._change(vector) for vector in vectors), ws)[None]

    def _view(self, ws: Tensor) -> dict[str, Any]:
        if self.editor is None:
            with torch.no_grad():
                image = self.translator.output_image(render(self.translator, ws).image)
            return {"image": to_image(image[0].float().cpu())}
        view = self.editor.view(ws)
        mask = self.editor.classes.image_of(view.segmentation.labels)
        return {"image": to_image(view.image[0].float().cpu()), "mask": mask}


def encode(tensor: Tensor) -> str:
    """Return numbers as base64 of float32."""
    return base64.b64encode(tensor.detach().float().cpu().contiguous().numpy().tobytes()).decode()


def decode_bytes(text: object, name: str) -> bytes:
    """Return the bytes of base64.

    Raises:
        I2IError: it is something else.
    """
    if not isinstance(text, str):
        raise I2IError(f"{name}: expected base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise I2IError(f"{name}: expected base64") from error
