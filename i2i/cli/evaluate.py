"""`i2i evaluate`: figures of runs and folders of images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="RUN",
    help="Another run to measure on the same images; may be repeated.",
)
@click.option(
    "--steps",
    type=click.Choice(["last", "best", "all"]),
    default="last",
    show_default=True,
    help="Checkpoints of runs: the newest, the one kept by train.keep_best, or all.",
)
@click.option(
    "--split",
    type=click.Choice(["val", "test"]),
    default="val",
    show_default=True,
    help="Images of a run's data set; without a validation folder the test images.",
)
@click.option("--to", help="Domain that runs translate to; b by default.")
@click.option(
    "--truncation", type=float, help="Of the samples of a run that generates images from noise; 1 by default."
)
@click.option("--count", type=click.IntRange(min=2), metavar="N", help="Largest number of images of each set.")
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
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a report, FILE.html, and all figures, FILE.json; only those if FILE ends in .json.",
)
def evaluate(
    subject: Path,
    real: Path | None,
    source: Path | None,
    against: tuple[Path, ...],
    steps: Literal["last", "best", "all"],
    split: Literal["val", "test"],
    to: str | None,
    truncation: float | None,
    count: int | None,
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
    """Measure a run, or a folder of generated images, against real images.

    A run that generates images from noise is measured by as many samples as there are real images.

    \b
      i2i evaluate runs/first --output report.html
      i2i evaluate runs/first --against runs/second --steps all --output report.html
      i2i evaluate runs/stylegan2 --count 2000 --truncation 0.7
      i2i evaluate translated --real testB --source testA
      i2i evaluate translated --real testB --protocol pytorch-fid --weights inception=FILE --output figures.json

    Protocols: i2i, torch-fidelity, pytorch-fid, clean-fid, nice-gan, ugatit-2019-04, ugatit-2019-08. All but i2i need
    the weights of Inception; `i2i weights list` says where they come from.
    """
    from i2i.evaluation.evaluate import Evaluator, Options
    from i2i.evaluation.weights import KNOWN, check_name
    from i2i.use.hub import is_address
    from i2i.use.loaded import default_device

    for name, file in weights:
        if not file.is_file():
            raise I2IError(f"--weights {name}: expected a file, found nothing at {file}")
        if name != features and name not in KNOWN:
            check_name(name)
    if is_address(subject) or subject.is_file():
        raise I2IError(
            f"{subject} is no folder; translate images with it, and evaluate the results: i2i evaluate translated "
            f"--real DIR --source DIR"
        )
    if not subject.exists():
        raise I2IError(f"{subject} does not exist; give a run folder, or a folder of images and --real DIR")
    is_run = _is_run(subject)
    if not is_run and (against or real is None):
        problem = "--against is for runs" if against else "give --real DIR, real images of the target domain"
        raise click.UsageError(f"{subject} is a folder of images, not a run: {problem}")
    if is_run and target is not None:
        raise click.UsageError("--target is for folders; a run's data set says whether it has ground truth")
    with processes() as rank:
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
        evaluator = Evaluator(options)
        if is_run:
            from i2i.use.generator_evaluation import evaluate_generators
            from i2i.use.loaded import load
            from i2i.use.report import examined_report, samples_report
            from i2i.use.run_evaluation import Question, evaluate_runs

            question = Question(steps, split, count, to, real, source)
            title = f"Evaluation of {', '.join(map(str, (subject, *against)))}"
            first, runs = load(subject, device=options.device), [subject, *against]
            if not first.translator.targets:
                condition = {} if truncation is None else {"truncation": truncation}
                examined = evaluate_generators(first, runs, question, evaluator, condition)
                make = samples_report
            elif truncation is not None:
                raise click.UsageError(f"--truncation is for runs that generate images from noise; {subject} does not")
            else:
                examined, make = evaluate_runs(runs, question, evaluator, first), examined_report
            found = examined.evaluation
            text = make(examined, evaluator, title) if rank == 0 and _wants_page(output) else ""
        else:
            from i2i.evaluation.image_sets import from_folder
            from i2i.use.report import neighbours, page

            assert real is not None
            sets = [from_folder(folder, count) if folder else None for folder in (subject, real, source, target)]
            generated, reals, inputs, truth = sets
            assert generated is not None
            assert reals is not None
            found = evaluator.evaluate(generated, reals, inputs, truth)
            text = ""
            if rank == 0 and _wants_page(output):
                near = neighbours(generated, reals, inputs, evaluator, str(subject))
                text = page(f"Evaluation of {subject}", found, [near])
    if rank == 0:
        report(found, protocol, output, text)


@contextmanager
def processes() -> Iterator[int]:
    """Join the processes that a launcher such as torchrun started, and give this one's number."""
    import torch

    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield 0
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("gloo")
    try:
        yield torch.distributed.get_rank()
    finally:
        torch.distributed.destroy_process_group()


def _is_run(path: Path) -> bool:
    return (path / "checkpoints").is_dir() or (path / "state.json").is_file()


def _wants_page(output: Path | None) -> bool:
    return output is not None and output.suffix != ".json"


def report(found: Evaluation, protocol: str, output: Path | None, text: str) -> None:
    """Print the figures, and write them if a file was asked for."""
    from i2i.evaluation.figures import write_text

    click.echo(f"protocol {protocol}")
    labels: list[str] = []
    for figure in found.figures:
        label = "" if figure.step is None else f"{figure.run}, step {figure.step} ({figure.scanned} scanned):"
        if label and label not in labels:
            labels.append(label)
            click.echo(label)
        click.echo(f"  {figure}")
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if output is not None:
        write_text(output.with_suffix(".json"), found.to_json())
        if text:
            write_text(output.with_suffix(".html"), text)
            click.echo(f"report: {output.with_suffix('.html')}")
        click.echo(f"figures: {output.with_suffix('.json')}")
