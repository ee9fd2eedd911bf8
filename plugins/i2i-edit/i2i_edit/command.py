"""Commands of editing: `i2i edit`, `i2i directions` and `i2i project`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from i2i.cli.sample import numbers
from i2i.errors import I2IError

RUN = click.argument("run", type=click.Path(path_type=Path))
DEVICE = click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
STEPS = click.option("--steps", type=click.IntRange(min=0), default=1000, show_default=True, help="Of the projection.")
SPACE = click.option(
    "--space",
    type=click.Choice(["w", "w+"]),
    default="w+",
    show_default=True,
    help="w+ has a style vector for each layer and comes nearer; w edits better.",
)
ENCODER = click.option(
    "--encoder", type=click.Path(path_type=Path), help="Run of a style encoder, where the projection starts."
)
TEXT_ENCODER = click.option(
    "--text-encoder",
    metavar="RUN|NAME",
    help="A run of caption_encoder, or a component such as clip, whose options are --with.",
)
RGB = click.option("--rgb", is_flag=True, help="Global directions also change the styles of conversions to RGB.")
WITH = click.option("--with", "more", multiple=True, metavar="NAME=VALUE", help="Option of the text encoder or tagger.")
NEUTRAL = click.option("--neutral", multiple=True, help="Text that says nothing of the change; may be repeated.")


def component(kind: Any, name: str, more: Sequence[str]) -> Any:
    """Build a component of a kind by its name, with options as they are written on the command line."""
    from i2i.cli.conditions import named_conditions
    from i2i.core.plugins import default_plugins
    from i2i.core.signature import options

    built = default_plugins().registry.get(kind, name).load()
    given = named_conditions(built, list(options(built)), tuple(more))
    return kind(name, **given)()


def text_encoder(name: str | None, more: Sequence[str]) -> Any:
    """Build the encoder of texts and images that --text-encoder names."""
    from i2i_edit.kinds import TEXT_IMAGE_ENCODER

    if name is None:
        raise click.UsageError("a text needs --text-encoder: a run of caption_encoder, or clip with its files")
    if Path(name).exists():
        return TEXT_IMAGE_ENCODER("captions", run=Path(name))()
    return component(TEXT_IMAGE_ENCODER, name, more)


def named_strength(text: str, separator: str, option: str, default: float | None = None) -> tuple[str, float]:
    """Parse `smile=2` or `smile.safetensors:1.5`."""
    name, found, strength = text.rpartition(separator)
    if not found and default is not None:
        return text, default
    try:
        value = float(strength)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise click.BadParameter(f"expected NAME{separator}STRENGTH, got {text!r}", param_hint=option)
    return name, value


def open_encoder(run: Path | None, device: str | None) -> Any:
    """Load the style encoder that --encoder names."""
    if run is None:
        return None
    from i2i_stylegan.command import load

    from i2i_edit.style_encoder import StyleEncoder

    translator = load(run, device).translator
    if not isinstance(translator, StyleEncoder):
        raise I2IError(f"{run}: expected a run of a style encoder, such as style_encoder_small")
    return translator


@click.command()
@RUN
@click.argument("image", required=False, type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), help="Edit the image of a seed in place of a file.")
@click.option("--direction", "directions", multiple=True, metavar="NAME=STRENGTH", help="Direction of RUN; repeatable.")
@click.option("--vector", "vectors", multiple=True, metavar="FILE:STRENGTH", help="File of a vector; repeatable.")
@click.option("--mapper", "mappers", multiple=True, metavar="FILE:STRENGTH", help="File of a text mapper; repeatable.")
@click.option("--text", help="What the image should show.")
@TEXT_ENCODER
@click.option(
    "--text-method",
    type=click.Choice(["optimizer", "direction"]),
    default="optimizer",
    show_default=True,
    help="StyleCLIP's optimizer, for this image alone, or its global direction, which fits any image.",
)
@click.option("--text-steps", type=click.IntRange(min=1), default=300, show_default=True, help="Of the optimizer.")
@click.option("--text-layers", metavar="N-N", help="Layers that the optimizer changes, 0 for the coarsest.")
@click.option("--keep", type=click.FloatRange(min=0), default=0.008, show_default=True, help="Larger: less change.")
@click.option("--text-strength", type=float, default=4.0, show_default=True, help="Of the global direction.")
@click.option("--beta", type=click.FloatRange(min=0), default=0.1, show_default=True, help="Larger: fewer channels.")
@RGB
@NEUTRAL
@WITH
@STEPS
@SPACE
@ENCODER
@click.option("--mask", type=click.Path(path_type=Path), help="Edited label map, as large as the run's images.")
@click.option("--mask-steps", type=click.IntRange(min=2), default=30, show_default=True, help="Of --mask.")
@click.option("--save-mask", type=click.Path(path_type=Path), help="Write the image's label map, to be edited.")
@click.option("--tolerance", type=click.IntRange(0, 255), default=0, show_default=True, help="Of colours of --mask.")
@click.option("--refine", type=click.IntRange(min=2), help="Steps that restore what vectors of masks change elsewhere.")
@click.option("--classifiers", type=click.Path(path_type=Path), help="File of `i2i dataset-gan train --output`.")
@click.option("--save-vector", type=click.Path(path_type=Path), help="Write the whole change as a vector.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("edited.png"), show_default=True
)
@DEVICE
def edit(
    run: Path,
    image: Path | None,
    seed: int | None,
    directions: tuple[str, ...],
    vectors: tuple[str, ...],
    mappers: tuple[str, ...],
    text: str | None,
    text_encoder: str | None,
    text_method: Literal["optimizer", "direction"],
    text_steps: int,
    text_layers: str | None,
    keep: float,
    text_strength: float,
    beta: float,
    rgb: bool,
    neutral: tuple[str, ...],
    more: tuple[str, ...],
    steps: int,
    space: Literal["w", "w+"],
    encoder: Path | None,
    mask: Path | None,
    mask_steps: int,
    save_mask: Path | None,
    tolerance: int,
    refine: int | None,
    classifiers: Path | None,
    save_vector: Path | None,
    output: Path,
    device: str | None,
) -> None:
    """Edit IMAGE with RUN, a run of StyleGAN2: by directions, vectors, texts and label maps.

    \b
      i2i edit runs/portraits face.png --direction glasses=2 --output out.png
      i2i edit runs/portraits --seed 3 --vector smile.safetensors:1.5 --vector old.safetensors:-1
      i2i edit runs/portraits face.png --text "red hair" --text-encoder runs/caption_encoder
      i2i edit runs/portraits face.png --save-mask mask.png
      i2i edit runs/portraits face.png --mask edited.png --save-vector smile.safetensors

    IMAGE is projected first, unless it is a file of `i2i project`, which saves the time. Strength 1 of a direction is
    one standard deviation of all images along it. Label maps need classifiers of pixels; see `i2i dataset-gan`.
    """
    if (image is None) == (seed is None):
        raise click.UsageError("expected either IMAGE or --seed")
    if text is not None and not text.strip():
        raise click.BadParameter("expected words such as red hair, got an empty text", param_hint="--text")
    chosen_layers = None if text_layers is None else numbers(text_layers, "--text-layers")
    named = [named_strength(one, "=", "--direction") for one in directions]
    files = [named_strength(one, ":", "--vector", 1.0) for one in vectors]
    mapped = [named_strength(one, ":", "--mapper", 1.0) for one in mappers]
    embed = None if text is None else _text_encoder(text_encoder, more)
    from i2i.cli.translate import usable
    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i_edit.editor import Editor
    from i2i_edit.projection import Options
    from i2i_edit.text_editor import TextEditor
    from i2i_edit.text_mapper import load_mapper
    from i2i_edit.vectors import combined, load_vector
    from i2i_edit.vectors import save_vector as write_vector

    editor = Editor(run, usable(device))
    changes = [editor.direction(name) * strength for name, strength in named]
    changes += [load_vector(Path(name), editor.hash) * strength for name, strength in files]
    maps = [(load_mapper(Path(name), editor), strength) for name, strength in mapped]
    style_encoder = open_encoder(encoder, device)
    masks = None
    if mask is not None or save_mask is not None or refine is not None:
        from i2i_edit.dataset_command import classifier_file
        from i2i_edit.segmentation import Segmenter

        masks = Segmenter.load(editor.translator, classifier_file(run, classifiers))
    target = None if masks is None or mask is None else masks.classes.read(mask, masks.size, tolerance)
    latent = editor.latent(
        seed if image is None else image, options=Options(steps=steps, space=space), encoder=style_encoder
    )
    changes += [mapper.change(latent.ws) * strength for mapper, strength in maps]
    if text is not None and text_method == "optimizer":
        changes.append(TextEditor(editor, embed).edit(latent, text, text_steps, keep, layers=chosen_layers))
    elif text is not None:
        changes.append(TextEditor(editor, embed).direction(text, neutral, beta, rgb=rgb) * text_strength)
    change = combined(changes)
    if masks is not None:
        from i2i_edit.mask_changes import masked_change

        change, labels = masked_change(editor, masks, latent, changes, target, mask_steps, refine, style_encoder)
        if save_mask is not None:
            write_image(masks.classes.image_of(labels), save_mask)
            click.echo(f"label map in {save_mask}")
    write_image(to_image(editor.generate(latent, change)[0]), output)
    if save_vector is not None:
        if change is None:
            raise click.UsageError(
                "--save-vector: there is no change; give --direction, --vector, --mapper, --text or --mask"
            )
        write_vector(change, save_vector)
        click.echo(f"vector in {save_vector}")
    click.echo(f"edited image in {output}")


_text_encoder: Callable[[str | None, Sequence[str]], Any] = text_encoder  # options of commands have this name, too


@click.command()
@RUN
@click.argument("image", type=click.Path(path_type=Path))
@STEPS
@SPACE
@ENCODER
@click.option("--pixel-weight", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Of pixels' error.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the noise.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("projection.safetensors"),
    show_default=True,
)
@DEVICE
def project(
    run: Path,
    image: Path,
    steps: int,
    space: Literal["w", "w+"],
    encoder: Path | None,
    pixel_weight: float,
    seed: int,
    output: Path,
    device: str | None,
) -> None:
    """Find the style vectors of IMAGE in RUN, and write them with the image that they generate.

    \b
      i2i project runs/portraits face.png --output face.safetensors
      i2i project runs/portraits face.png --encoder runs/style_encoder_small --steps 200

    OUTPUT can be given to `i2i edit` in place of an image. Its image lies next to it, such as face.png. With
    `--steps 0` the encoder alone is used.
    """
    if steps == 0 and encoder is None:
        raise click.UsageError("--steps 0 needs --encoder")
    from i2i.cli.translate import usable
    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i_edit.editor import Editor
    from i2i_edit.projection import Options

    editor = Editor(run, usable(device))
    latent = editor.project(
        editor.prepare(image),
        Options(steps=steps, space=space),
        open_encoder(encoder, device),
        pixel_weight=pixel_weight,
        seed=seed,
        progress=lambda step, value: step % 100 or click.echo(f"step {step}: distance {value:.4f}", err=True),
    )
    editor.save_projection(latent, output)
    shown = output.with_suffix(".png")
    shown = shown.with_stem(f"{shown.stem}.projected") if shown.exists() else shown
    write_image(to_image(editor.generate(latent)[0]), shown)
    click.echo(f"distance {latent.distance:.4f}; style vectors in {output}, image in {shown}")


@click.command()
@RUN
@click.option(
    "--method",
    type=click.Choice(["sefa", "ganspace", "interfacegan", "tags", "text"]),
    required=True,
    help="How directions are found.",
)
@click.option("--count", type=click.IntRange(min=1), default=8, show_default=True, help="Of sefa and ganspace.")
@click.option("--layers", metavar="N-N", help="Layers that are changed, 0 for the coarsest; all by default.")
@click.option("--labels", type=click.Path(path_type=Path), help="CSV file with the columns seed and attributes.")
@click.option("--tagger", help="Component that scores generated images, such as drawn_portraits.")
@click.option("--attribute", "attributes", multiple=True, help="Attribute that is wanted; all by default; repeatable.")
@click.option("--samples", type=click.IntRange(min=4), default=2000, show_default=True, help="Generated images.")
@click.option(
    "--chosen",
    type=click.FloatRange(min=0, min_open=True),
    default=0.1,
    show_default=True,
    help="Share of images at each end, or number.",
)
@click.option("--condition", "conditions", multiple=True, metavar="NAME=OTHER,OTHER", help="Keep OTHER as it is.")
@click.option("--text", help="What images should show, for the method text.")
@TEXT_ENCODER
@click.option("--beta", type=click.FloatRange(min=0), default=0.1, show_default=True, help="Larger: fewer channels.")
@RGB
@NEUTRAL
@WITH
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder; RUN/directions by default.")
@DEVICE
def directions(
    run: Path,
    method: Literal["sefa", "ganspace", "interfacegan", "tags", "text"],
    count: int,
    layers: str | None,
    labels: Path | None,
    tagger: str | None,
    attributes: tuple[str, ...],
    samples: int,
    chosen: float,
    conditions: tuple[str, ...],
    text: str | None,
    text_encoder: str | None,
    beta: float,
    rgb: bool,
    neutral: tuple[str, ...],
    more: tuple[str, ...],
    output: Path | None,
    device: str | None,
) -> None:
    """Find directions of RUN, a run of StyleGAN2, and write each as a vector.

    \b
      i2i directions runs/portraits --method sefa --count 5
      i2i directions runs/portraits --method interfacegan --labels labels.csv --condition smile=glasses
      i2i directions runs/portraits --method tags --tagger drawn_portraits --attribute glasses
      i2i directions runs/portraits --method text --text "red hair" --text-encoder runs/caption_encoder

    `sefa` and `ganspace` need no labels. `interfacegan` and `tags` need labels of seeds, or a tagger that labels
    generated images. `i2i edit RUN --direction NAME=STRENGTH` applies what is found.
    """
    labelled = method in ("interfacegan", "tags")
    if labelled and (labels is None) == (tagger is None):
        raise click.UsageError(f"--method {method} needs either --labels or --tagger")
    if method == "text" and not (text or "").strip():
        raise click.UsageError("--method text needs --text, such as --text 'red hair'")
    chosen_layers = None if layers is None else numbers(layers, "--layers")
    kept = {}
    for one in conditions:
        name, equals, others = one.partition("=")
        if not equals or not others:
            raise click.BadParameter(f"expected NAME=OTHER,OTHER, got {one!r}", param_hint="--condition")
        kept[name] = others.split(",")
    from i2i.cli.translate import usable
    from i2i_edit import finding
    from i2i_edit.editor import DIRECTIONS, Editor
    from i2i_edit.kinds import TAGGER
    from i2i_edit.text_editor import TextEditor
    from i2i_edit.vectors import save_vector

    embed = _text_encoder(text_encoder, more) if method == "text" else None
    editor = Editor(run, usable(device))
    if output is None and editor.loaded.folder is None:
        raise click.UsageError(f"{run} is no run folder; give --output")
    folder = output or (editor.loaded.folder or run) / DIRECTIONS
    if labelled:
        if labels is not None:
            scores = finding.read_scores(labels, attributes)
        else:
            scores = finding.scores_of(editor, component(TAGGER, str(tagger), more), samples, attributes)
    if method == "sefa":
        found = finding.sefa_directions(editor, count, chosen_layers)
    elif method == "ganspace":
        found = finding.ganspace_directions(editor, count, samples, chosen_layers)
    elif method == "interfacegan":
        found = finding.boundary_directions(editor, scores, chosen, kept, chosen_layers)
    elif method == "tags":
        found = finding.tag_directions(editor, scores, chosen_layers)
    else:
        found = [TextEditor(editor, embed).direction(str(text), neutral, beta, rgb=rgb)]
    for vector in found:
        path = folder / f"{_file_name(vector.name)}.safetensors"
        save_vector(vector, path)
        facts = ", ".join(f"{name} {value:.3g}" for name, value in vector.notes.items() if isinstance(value, float))
        click.echo(f"{path}: {facts}" if facts else str(path))


def _file_name(name: str) -> str:
    """Return a name without characters that are special in paths."""
    return "".join(one if one.isalnum() or one in "-_+." else "_" for one in name)
