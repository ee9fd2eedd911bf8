"""`i2i evaluate`: figures of runs and folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2i.errors import I2IError

if TYPE_CHECKING:
    from i2i.evaluation.figures import Evaluation


class WeightsType(click.ParamType[tuple[str, Path]]):
    """NAME=FILE."""

    name = "NAME=FILE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        name, separator, file = str(value).partition("=")
        if not separator or not name or not file:
            self.fail(f"expected NAME=FILE, such as inception=weights.pth, got {value!r}", param, ctx)
        return name, Path(file).expanduser()


@click.command()
@click.argument("subject", type=click.Path(path_type=Path), metavar="RUN|FOLDER")
@click.option("--real", type=click.Path(path_type=Path), metavar="DIR", help="Real images of the target domain.")
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Images of the source domain: the inputs, which also give the floor.",
)
@click.option("--target", type=click.Path(path_type=Path), metavar="DIR", help="Ground truth of each image, by order.")
@click.option("--protocol", default="i2i", show_default=True, help="How to measure; `i2i evaluate --help` lists them.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Compute only this figure; may be repeated.")
@click.option(
    "--features", metavar="NETWORK", help="Network of the features: inception, or one of timm (protocol i2i only)."
)
@click.option(
    "--weights",
    "weights",
    type=WeightsType(),
    multiple=True,
    help="File of a network's weights, such as inception=FILE; may be repeated.",
)
@click.option(
    "--kid-subset-size",
    type=click.IntRange(min=2),
    metavar="N",
    help="Images of a random subset, for protocols that draw subsets; 1000 by default.",
)
@click.option("--cache/--no-cache", default=True, show_default=True, help="Keep features on disk.")
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Processes that read images.")
@click.option("--device", help="Device of the networks; the machine's accelerator or the CPU by default.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write FILE.json with all figures.")
def evaluate(
    subject: Path,
    real: Path | None,
    source: Path | None,
    target: Path | None,
    protocol: str,
    metrics: tuple[str, ...],
    features: str | None,
    weights: tuple[tuple[str, Path], ...],
    kid_subset_size: int | None,
    cache: bool,
    workers: int,
    device: str | None,
    output: Path | None,
) -> None:
    """Measure a folder of generated images against real ones.

    \b
      i2i evaluate translated --real testB --source testA
      i2i evaluate translated --real testB --protocol pytorch-fid --weights inception=FILE --output figures.json

    Protocols: i2i, torch-fidelity, pytorch-fid, clean-fid, nice-gan, ugatit-2019-04, ugatit-2019-08. All but i2i need
    the weights of Inception; `i2i weights list` says where they come from.
    """
    from i2i.evaluation.evaluate import Evaluator, Options
    from i2i.evaluation.image_sets import from_folder
    from i2i.evaluation.weights import KNOWN, check_name
    from i2i.use.loaded import default_device

    for name, file in weights:
        if not file.is_file():
            raise I2IError(f"--weights {name}: expected a file, found nothing at {file}")
        if name != features and name not in KNOWN:
            check_name(name)
    options = Options(
        protocol=protocol,
        features=features,
        weights=dict(weights),
        metrics=metrics,
        kid_subset_size=kid_subset_size,
        use_cache=cache,
        workers=workers,
        device=device or str(default_device()),
    )
    if real is None:
        raise click.UsageError("give --real DIR, real images of the target domain")
    sets = [from_folder(folder) if folder is not None else None for folder in (subject, real, source, target)]
    generated, reals = sets[0], sets[1]
    assert generated is not None
    assert reals is not None
    evaluator = Evaluator(options)
    report(evaluator.evaluate(generated, reals, sets[2], sets[3]), options.protocol, output)


def report(found: Evaluation, protocol: str, output: Path | None) -> None:
    """Print the figures, and write them if a file was asked for."""
    from i2i.evaluation.figures import write_text

    click.echo(f"protocol {protocol}")
    for figure in found.figures:
        click.echo(f"  {figure}")
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if output is not None:
        write_text(output.with_suffix(".json"), found.to_json())
        click.echo(f"figures: {output.with_suffix('.json')}")
