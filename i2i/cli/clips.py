"""Clips in `i2i translate`: videos, animations and numbered frames, in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2i.cli.conditions import conditions_of
from i2i.cli.jobs import check_output, is_image_file
from i2i.data.clip_files import ANIMATIONS, READABLE, VIDEOS, is_clip
from i2i.errors import I2IError

if TYPE_CHECKING:
    from i2i.use.video import Frame

WRITABLE = frozenset(VIDEOS) | frozenset(ANIMATIONS)


def concerns_clips(inputs: Sequence[Path], output: Path) -> bool:
    """Whether a call of `i2i translate` reads or writes clips."""
    if any(is_clip(path) for path in inputs):
        return True
    is_still = len(inputs) == 1 and not inputs[0].is_dir() and is_image_file(output)  # .png and .webp may be both
    return output.suffix.lower() in WRITABLE | READABLE and not is_still


def translate_clips(
    *,
    run: Path,
    inputs: Sequence[Path],
    domain: str,
    output: Path,
    style: str | None,
    blend: str | None,
    more: tuple[str, ...],
    seed: int | None,
    size: Any,
    batch_size: int,
    tile: int | None,
    precision: Any,
    compiled: bool,
    device: str | None,
    fps: float | None,
    reduce_flicker: float,
    **others: Any,
) -> None:
    """Translate clips with the options of `i2i translate`, one clip after the other.

    Raises:
        I2IError: inputs, output and options do not fit together, or a clip cannot be read or written.
    """
    for name in ("heatmap", "side_by_side"):
        if others.get(name):
            raise click.UsageError(f"--{name.replace('_', '-')} is for images; omit it for clips")
    targets = _targets(inputs, output)
    if fps is not None and not any(path.is_dir() for path in inputs):
        raise click.UsageError("--fps is for folders of frames; a clip keeps its own time stamps")
    from rich.console import Console
    from rich.progress import track

    from i2i.use.clips import translate_clip
    from i2i.use.flicker import FlickerReduction
    from i2i.use.loaded import load

    loaded = load(run, device, precision=precision, compile=compiled)
    conditions = conditions_of(loaded.translator, style, seed, blend, more)
    terminal = Console(stderr=True, highlight=False, soft_wrap=True)

    def progress(frames: Iterator[Frame], count: int | None) -> Iterator[Frame]:
        return iter(track(frames, "translating", count, console=terminal, disable=not terminal.is_terminal))

    for source, target in targets.items():
        for mark, condition in conditions.items():
            flicker = FlickerReduction(reduce_flicker) if reduce_flicker else None
            result = translate_clip(
                loaded,
                source,
                target.with_name(f"{target.stem}{mark}{target.suffix}"),
                domain,
                size=size,
                batch_size=batch_size,
                tile=tile,
                flicker=flicker,
                rate=fps or 25,
                condition=condition,
                progress=progress,
            )
            resumed = [f"{result.resumed} of them before an interruption"] if result.resumed else []
            notes = "".join(f"; {note}" for note in resumed + result.notes)
            click.echo(f"{result.frames} frames translated to {domain} in {result.path}{notes}")


def _targets(inputs: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Return the file for each clip."""
    for path in inputs:
        if not path.exists():
            raise I2IError(f"{path} does not exist; give images, clips or folders of images")
    check_output(inputs, output, WRITABLE, frames=True)
    if output.suffix.lower() in WRITABLE:
        if not (inputs[0].is_dir() or is_clip(inputs[0])):
            raise I2IError(
                f"{inputs[0]} is one image, but --output {output} is a clip; give a name such as {output.stem}.png"
            )
        return {inputs[0]: output}
    single = [path for path in inputs if not is_clip(path)]
    if single:
        raise I2IError(f"{single[0]} is no clip; translate images and clips in separate calls")
    targets: dict[Path, Path] = {}
    for path in inputs:
        target = output / (path.name if path.suffix.lower() in WRITABLE else f"{path.stem}.mp4")
        if target in targets.values():
            raise I2IError(f"two inputs would be written to {target}; translate them separately")
        targets[path] = target
    return targets
