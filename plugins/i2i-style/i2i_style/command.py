"""`i2i stylize`: one image optimized until it has another one's style."""

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
@click.option("--shares", metavar="W,W", help="Weights of several styles, in order; alike by default.")
@click.option("--steps", type=click.IntRange(min=1), default=300, show_default=True, help="Iterations.")
@click.option("--size", type=click.IntRange(min=32), default=256, show_default=True, help="Shorter side in pixels.")
@click.option(
    "--style-scale",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    help="Size of the style images as a multiple of --size: larger strokes.",
)
@click.option("--content-weight", type=click.FloatRange(min=0), default=1.0, show_default=True)
@click.option("--style-weight", type=click.FloatRange(min=0), default=10.0, show_default=True)
@click.option("--tv-weight", type=click.FloatRange(min=0), default=20.0, show_default=True, help="Of total variation.")
@click.option("--content-taps", metavar="LAYER,LAYER", help="Layers whose features are kept.")
@click.option("--style-taps", metavar="LAYER,LAYER", help="Layers whose Gram matrices are taken over.")
@click.option(
    "--absolute", is_flag=True, help="Errors as the papers have them, not as shares of what they are compared with."
)
@click.option("--init", type=click.Choice(["content", "noise"]), default="content", show_default=True)
@click.option("--optimizer", type=click.Choice(["lbfgs", "adam"]), default="lbfgs", show_default=True)
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), help="1 for lbfgs, 0.05 for adam by default.")
@click.option("--keep-colors", is_flag=True, help="Paint the luminance alone.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the noise.")
@click.option("--model", default="tf_efficientnet_lite0", show_default=True, help="Network of timm that looks.")
@click.option("--weights", default="package", show_default=True, help="package, untrained, or a file of its weights.")
@click.option("--pooling", type=click.Choice(["own", "average"]), default="own", show_default=True)
@click.option("--device", help="Such as cpu, cuda:1 or mps; the machine's accelerator by default.")
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
    """Optimize an image that has CONTENT's content and the style of STYLE, or of several.

    \b
      i2i stylize photo.jpg painting.jpg --output made.png
      i2i stylize photo.jpg one.jpg two.jpg --shares 0.7,0.3 --keep-colors

    Neural style of Gatys et al. (CVPR 2016). Which network looked is printed and written into the image. Ctrl-C ends
    it early and keeps the image so far.
    """
    if not output.suffix:
        raise click.BadParameter(f"expected an image's name such as {output}.png, got {output}", param_hint="--output")
    for path in (content, *styles):
        if not path.is_file():
            raise I2IError(f"{path} does not exist; give images")
        if path.resolve() == output.resolve():
            raise I2IError(f"{path} would be written over; choose another --output")
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from i2i.cli import INTERRUPTED
    from i2i.cli.translate import usable
    from i2i.core.kinds import FEATURE_EXTRACTOR
    from i2i.data.images import to_image
    from i2i.data.writing import write_image
    from i2i_style.stylization import CONTENT_TAPS, STYLE_TAPS, Stylization

    known = weights if weights in ("package", "untrained") else Path(weights)
    work = Stylization(
        content,
        styles,
        shares=_numbers(shares),
        features=FEATURE_EXTRACTOR("timm", model=model, weights=known, pooling=pooling),
        content_taps=_names(content_taps, CONTENT_TAPS),
        style_taps=_names(style_taps, STYLE_TAPS),
        relative=not absolute,
        device=usable(device),
        **options,  # type: ignore[arg-type]
    )
    terminal = Console(stderr=True, highlight=False, soft_wrap=True)
    terminal.print(f"feature extractor: {work.source}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True), TextColumn("{task.fields[terms]}"))
    done, terms = 0, {}
    try:
        with Progress(*columns, console=terminal, disable=not terminal.is_terminal) as bar:
            task = bar.add_task("", total=steps, terms="")
            for done in range(1, steps + 1):
                terms = work.step()
                shown = "  ".join(f"{name} {value:.3g}" for name, value in terms.items())
                bar.update(task, completed=done, terms=shown)
    except KeyboardInterrupt:
        done = max(0, done - 1)  # the step that was broken off does not count
    write_image(to_image(work.image), output, {"feature extractor": work.source, "steps": str(done)})
    if done < steps:
        click.echo(f"stopped after {done} of {steps} steps; the image so far: {output}")
        return INTERRUPTED
    click.echo(f"{output} ({'  '.join(f'{name} {value:.3g}' for name, value in terms.items())})")
    return 0


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise click.BadParameter(f"expected numbers with commas between, got {text!r}", param_hint="--shares") from None


def _names(text: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else default
