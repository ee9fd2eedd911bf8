"""The command `i2i stylize`: optimization of one image towards the style of others."""

from __future__ import annotations

from pathlib import Path

import click

from i2i.errors import I2IError


@click.command()
@click.argument("content", type=click.Path(path_type=Path))
@click.argument("styles", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="STYLE...")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("stylized.png"), show_default=True
)
@click.option("--shares", metavar="W,W", help="Weights of several styles, in order; equal by default.")
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Iterations.")
@click.option("--size", type=click.IntRange(min=32), default=256, show_default=True, help="Shorter side in pixels.")
@click.option(
    "--style-scale",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    help="Size of the style images as a multiple of --size; larger values give larger strokes.",
)
@click.option("--content-weight", type=click.FloatRange(min=0), default=1.0, show_default=True)
@click.option("--style-weight", type=click.FloatRange(min=0), default=10.0, show_default=True)
@click.option(
    "--tv-weight", type=click.FloatRange(min=0), default=20.0, show_default=True, help="Weight of total variation."
)
@click.option("--content-taps", metavar="LAYER,LAYER", help="Layers whose features are compared with the content's.")
@click.option("--style-taps", metavar="LAYER,LAYER", help="Layers whose Gram matrices are compared with the styles'.")
@click.option(
    "--absolute", is_flag=True, help="Errors as in the papers, not divided by the mean square of their target."
)
@click.option("--init", type=click.Choice(["content", "noise"]), default="content", show_default=True)
@click.option("--optimizer", type=click.Choice(["lbfgs", "adam"]), default="lbfgs", show_default=True)
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), help="1 for lbfgs, 0.05 for adam by default.")
@click.option("--keep-colors", is_flag=True, help="Change the luminance only.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the noise.")
@click.option(
    "--model", default="tf_efficientnet_lite0", show_default=True, help="Feature extractor, a network of timm."
)
@click.option("--weights", default="package", show_default=True, help="package, untrained, or a file of weights.")
@click.option("--pooling", type=click.Choice(["own", "average"]), default="own", show_default=True)
@click.option("--device", help="Such as cpu, cuda:1 or mps; by default the machine's accelerator.")
def stylize(
    content: Path,
    styles: tuple[Path, ...],
    output: Path,
    shares: str | None,
    steps: int,
    content_taps: str | None,
    style_taps: str | None,
    absolute: bool,
    model: str,
    weights: str,
    pooling: str,
    device: str | None,
    **options: object,
) -> int:
    """Optimize an image towards the content of CONTENT and the style of one or more STYLE images.

    \b
      i2i stylize photo.jpg painting.jpg --output stylized.png
      i2i stylize photo.jpg one.jpg two.jpg --shares 0.7,0.3 --keep-colors

    Neural style transfer by Gatys et al. (CVPR 2016). The feature extractor is printed and written into the image's
    metadata. Ctrl-C stops early and writes the image of the last complete step.
    """
    if not output.suffix:
        raise click.BadParameter(
            f"expected a file name with a suffix, such as {output}.png, got {output}", param_hint="--output"
        )
    for path in (content, *styles):
        if not path.is_file():
            raise I2IError(f"{path} does not exist; expected image files")
        if path.resolve() == output.resolve():
            raise I2IError(f"{path} would be overwritten; choose another --output")
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from i2i.cli import INTERRUPTED
    from i2i.cli.translate import usable
    from i2i.core.kinds import FEATURE_EXTRACTOR
    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i_style.stylization import CONTENT_TAPS, STYLE_TAPS, Stylization

    weights_source = weights if weights in ("package", "untrained") else Path(weights)
    stylization = Stylization(
        content,
        styles,
        shares=_parse_shares(shares),
        features=FEATURE_EXTRACTOR("timm", model=model, weights=weights_source, pooling=pooling),
        content_taps=_parse_taps(content_taps) or CONTENT_TAPS,
        style_taps=_parse_taps(style_taps) or STYLE_TAPS,
        relative=not absolute,
        device=usable(device),
        **options,  # type: ignore[arg-type]
    )
    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    terminal.print(f"feature extractor: {stylization.source}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True), TextColumn("{task.fields[terms]}"))
    completed, terms = 0, {}
    try:
        with Progress(*columns, console=terminal, disable=not terminal.is_terminal) as bar:
            task = bar.add_task("", total=steps, terms="")
            for number in range(1, steps + 1):
                terms = stylization.step()
                completed = number
                bar.update(task, completed=completed, terms=_format(terms))
    except KeyboardInterrupt:
        pass  # the image of the last complete step is written
    write_image(to_image(stylization.image), output, {"feature extractor": stylization.source, "steps": str(completed)})
    if completed < steps:
        click.echo(f"stopped after {completed} of {steps} steps; the image so far: {output}")
        return INTERRUPTED
    click.echo(f"{output} ({_format(terms)})")
    return 0


def _format(terms: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in terms.items())


def _parse_shares(text: str | None) -> list[float]:
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise click.BadParameter(f"expected numbers separated by commas, got {text!r}", param_hint="--shares") from None


def _parse_taps(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()
