"""The Gradio app: an image in, its translation and heat map out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
import torch
from PIL import Image

from i2i.data.images import to_image
from i2i.errors import I2IError
from i2i.nn.functional.heatmap import draw_heatmap
from i2i.use.loaded import Loaded

MAX_PIXELS = 2_000_000
"""Largest size of a translated image."""


def create_app(models: Mapping[str, Loaded]) -> gr.Blocks:
    """Return the app.

    Args:
        models: translators by name.
    """
    first = next(iter(models.values()))
    styled = any("style" in model.translator.conditions() for model in models.values())
    targets = list(dict.fromkeys(to for model in models.values() for to in model.translator.targets))

    def translate(
        image: Image.Image | None, name: str, to: str, number: float | None, reference: Image.Image | None
    ) -> tuple[tuple[Image.Image, Image.Image], Image.Image | None]:
        if image is None:
            raise gr.Error("give an image first")
        try:
            return translated(models[name], image, to, number, reference)
        except I2IError as error:
            raise gr.Error(str(error)) from error

    with gr.Blocks(title="i2i", analytics_enabled=False) as app:
        gr.Markdown("# i2i\nImage-to-image translation.")
        with gr.Row():
            with gr.Column():
                image = gr.Image(type="pil", label="Image", sources=["upload", "clipboard", "webcam"], format="png")
                name = gr.Dropdown(list(models), value=next(iter(models)), label="Model", visible=len(models) > 1)
                to = gr.Dropdown(targets, value=first.translator.targets[-1], label="Translate to")
                number = gr.Number(value=None, precision=0, label="Style", visible=styled)
                reference = gr.Image(type="pil", label="Reference image of the style", visible=styled, format="png")
                button = gr.Button("Translate", variant="primary")
            with gr.Column():
                result = gr.ImageSlider(type="pil", label="Input and translation", format="png")
                heat = gr.Image(type="pil", label="Heat map", format="png")
        button.click(translate, [image, name, to, number, reference], [result, heat], api_name="translate")
    return app


def translated(
    loaded: Loaded, image: Image.Image, to: str, number: float | None = None, reference: Image.Image | None = None
) -> tuple[tuple[Image.Image, Image.Image], Image.Image | None]:
    """Return input and translation of one size, and the heat map of generators with attention.

    Args:
        loaded: the translator.
        image: any image.
        to: domain to translate to.
        number: number of a style, for methods with styles.
        reference: image whose style is used, instead of a number.

    Raises:
        I2IError: the image is too large, or the method has no such domain or style.
    """
    condition: dict[str, Any] = {}
    if "style" in loaded.translator.conditions():
        condition = {"style": reference} if reference is not None else {} if number is None else {"style": int(number)}
    if loaded.translator.requires_condition and not condition:
        raise I2IError("this model needs a reference image of the style")
    prepared = loaded.prepare(image, domain=loaded.source_of(to))
    if prepared[0].numel() > MAX_PIXELS:
        raise I2IError(f"the image would have {prepared[0].numel()} pixels, more than the limit of {MAX_PIXELS}")
    output = loaded.run(prepared[None], to, **condition)
    made = output.image[0].float().cpu()
    heat = None
    if output.heatmap is not None:
        heat = to_image(draw_heatmap(output.heatmap.float().cpu(), (made.shape[1], made.shape[2]))[0])
    return (to_image(prepared.to(torch.float32)), to_image(made)), heat
