"""`i2i data`: look at data sets, and get published ones."""

from __future__ import annotations

import json
from pathlib import Path

import click

from i2i.cli.train import settings as settings_option
from i2i.data.download import download, extract
from i2i.data.published import ARCHIVES, Archive, published


@click.group()
def data() -> None:
    """Look at data sets, and get published ones."""


@data.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--recipe", help="Also say what this recipe does to the images.")
@settings_option
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="Write a contact sheet, .png or .html.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    sources: tuple[str, ...], recipe: str | None, settings: tuple[str, ...], sheet: Path | None, as_json: bool
) -> None:
    """Read all images of each SOURCE, and report what is unusual.

    \b
      i2i data check selfie2anime
      i2i data check 'shards/*.tar' hf://datasets/huggan/horse2zebra --sheet sheet.html
      i2i data check facades --recipe my_recipe.toml

    Reports counts, sizes, modes and depth; damaged images; exact and near duplicates; images that several folders
    share, such as training and test; images of one color; how many images each subfolder holds. Lines that begin with !
    are worth a look. The exit status is 0 whatever is found.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    from i2i.core.signature import declared_values
    from i2i.data.images import as_path
    from i2i.data.report import check as check_parts
    from i2i.data.report import effects, find_parts, write_sheet
    from i2i.recipe.recipe import Recipe

    if sheet is not None and sheet.suffix.lower() not in (".png", ".html"):
        raise click.BadParameter(f"expected a file .png or .html, got {sheet.name}", param_hint="--sheet")
    chosen = Recipe.read(recipe, settings) if recipe is not None else None
    parts = [part for source in sources for part in find_parts(as_path(source), source)]
    with Progress(BarColumn(), MofNCompleteColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=sum(len(part.listing.images) for part in parts))
        report = check_parts(parts, lambda count: bar.advance(task, count))
    if chosen is not None:
        options = declared_values(chosen.data.component, chosen.data.options)
        paired = getattr(chosen.data.component, "paired", None) and not options.get("a")
        for part in parts:
            report.notes[part.name] += [f"{chosen.name}: {line}" for line in effects(part, options, paired)]
    if sheet is not None:
        write_sheet(report, sheet)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1))
    else:
        click.echo("\n".join(report.lines()))


@data.command(epilog=f"Names: {', '.join(ARCHIVES)}.")
@click.argument("name", metavar="NAME|URL")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("datasets"),
    show_default=True,
    help="Folder in which the data set's folder is made.",
)
@click.option("--url", help="Another place of the same archive, such as a mirror; it is checked in the same way.")
@click.option("--sha256", help="Expected SHA-256 of the archive, for a URL.")
@click.option("--keep-archive", is_flag=True, help="Keep the archive next to the folder.")
def get(name: str, output: Path, url: str | None, sha256: str | None, keep_archive: bool) -> None:
    """Download and extract a published data set, or an archive from a URL.

    \b
      i2i data get horse2zebra
      i2i data get https://example.org/photos.zip --sha256 0123...

    Size and hash are checked before anything is extracted. A download that was interrupted is resumed. Only plain files
    inside the folder are written.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    if "://" in name:
        archive = Archive(name, None, sha256)
    else:
        archive = published(name)
        archive = archive._replace(url=url or archive.url, sha256=sha256 or archive.sha256)
    file = archive.url.partition("?")[0].rstrip("/").rpartition("/")[2]
    folder = output / (file.partition(".")[0] if "://" in name else name)
    if folder.exists():
        click.echo(f"{folder} exists already; move it away to get it again")
        return
    bar = Progress(BarColumn(), DownloadColumn(), TimeRemainingColumn(compact=True), console=Console(stderr=True))
    with bar:
        task = bar.add_task("", total=archive.size)
        target = output / file
        found = download(
            archive.url,
            target,
            archive.size,
            archive.sha256,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    if archive.sha256 is None:
        click.echo(f"no hash is known of {archive.url}, so only its length was checked; SHA-256 {found}", err=True)
    written = extract(target, folder)
    if not keep_archive:
        target.unlink()
    left_out = f"; {written.passed_over} links or unsafe names left out" if written.passed_over else ""
    click.echo(f"{folder}: {written.files} files{left_out}. Train on it with data.root={folder}")
