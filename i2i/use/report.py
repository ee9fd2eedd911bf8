"""A self-contained HTML report of an evaluation: figures, curves and images, all of them embedded."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

from i2i.core.version import __version__
from i2i.errors import I2IError
from i2i.evaluation.evaluate import Evaluator
from i2i.evaluation.figures import Evaluation, Figure
from i2i.evaluation.image_sets import ImageSet, Pixels
from i2i.use.run_evaluation import Examined, Translations, cycle_distances

THUMBNAIL = 128
"""Longer side of embedded images in pixels."""
GRID_IMAGES, SHOWN = 6, 8
"""Number of inputs in grids, and of images in each list of neighbours and failures."""
CURVE_WIDTH, CURVE_HEIGHT, MARGIN = 420, 200, 48
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
small { color: #666 }
figure { display: inline-block; margin: 0 10px 10px 0; vertical-align: top }
figcaption { font-size: 12px; color: #555 }
.grid td { border: 0; padding: 2px }
.grid th { border: 0; font-weight: normal; font-size: 13px }
img { display: block; max-width: 128px }
.best { background: #eef7ee }
.note { background: #fff8e5; padding: .5em 1em }
"""


def page(title: str, evaluation: Evaluation, sections: Iterable[str]) -> str:
    """Return a whole HTML page.

    Args:
        title: the heading.
        evaluation: the figures and notes.
        sections: HTML that follows the figures.
    """
    notes = "".join(f'<p class="note">{_text(note)}</p>' for note in evaluation.notes)
    body = "\n".join([notes, figures_table(evaluation.figures), curves(evaluation.figures), *sections])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{_text(title)}</h1>\n{body}\n"
        f"<p><small>i2i {_text(__version__)}. All images are embedded; the JSON file next to this page holds the "
        f"figures with the SHA-256 of weights and images.</small></p></body></html>\n"
    )


def examined_report(examined: Examined, evaluator: Evaluator, title: str) -> str:
    """Return the report of runs: figures, curves, grids, nearest real images and failures.

    Args:
        examined: the runs' figures and images.
        evaluator: what measured them; its features find the neighbours.
        title: the heading.
    """
    sections = [_kept(examined), _grid(examined)]
    newest = {made.run: made for made in examined.translations}
    for made in newest.values():
        sections += [
            neighbours(made.images, examined.real, examined.source, evaluator, f"{made.run}, step {made.step}"),
            _cycle_failures(made, examined),
        ]
    return page(title, examined.evaluation, filter(None, sections))


def samples_report(examined: Examined, evaluator: Evaluator, title: str) -> str:
    """Return the report of runs that generate images from noise: figures, and samples with their nearest real images.

    Args:
        examined: the runs' figures and samples.
        evaluator: what measured them; its features find the neighbours.
        title: the heading.
    """
    newest = {made.run: made for made in examined.translations}
    sections = [
        neighbours(made.images, examined.real, None, evaluator, f"{made.run}, step {made.step}")
        for made in newest.values()
    ]
    return page(title, examined.evaluation, [_kept(examined), *sections])


def figures_table(figures: Sequence[Figure]) -> str:
    """Return a table of all figures; the best value of a figure among several runs and steps is marked."""
    best: dict[str, float] = {}
    for figure in figures:
        if figure.value is not None:
            chosen = min if figure.better == "lower" else max
            best[figure.name] = chosen(best.get(figure.name, figure.value), figure.value)
    several = len({(figure.run, figure.step) for figure in figures}) > 1
    order = list(dict.fromkeys(figure.name for figure in figures))
    rows = []
    for figure in sorted(figures, key=lambda figure: order.index(figure.name)):  # stable: runs and steps keep theirs
        where = "" if figure.step is None else f"{figure.run}, step {figure.step} of {figure.scanned} scanned"
        if figure.value is None:
            rows.append(
                f"<tr><td>{_text(figure.name)}</td><td>{_text(where)}</td><td colspan=6>{_text(figure.note)}</td></tr>"
            )
            continue
        span = "" if figure.low is None else f"{_number(figure.low)} to {_number(figure.high)}"
        mark = ' class="best"' if several and figure.value == best[figure.name] else ""
        arrow = "↓" if figure.better == "lower" else "↑"
        cells = [
            _number(figure.value),
            span,
            _number(figure.floor),
            _number(figure.ceiling),
            f"{figure.n}, {figure.n_real}",
        ]
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(
            f"<tr{mark}><td>{_text(figure.name)} {arrow}</td><td>{_text(where)}</td>{numbers}"
            f"<td><small>{_text(figure.protocol)}; {_text(figure.interval)}</small></td></tr>"
        )
    head = "figure|run and step|value|interval|floor (input copied)|ceiling (real halves)|n, n real|protocol; interval"
    heads = "".join(f"<th>{cell}</th>" for cell in head.split("|"))
    return f"<h2>Figures</h2><table><tr>{heads}</tr>{''.join(rows)}</table>"


def curves(figures: Sequence[Figure]) -> str:
    """Return a curve over steps for each figure that was measured at several steps."""
    plots = []
    for name in dict.fromkeys(figure.name for figure in figures):
        points = [
            figure for figure in figures if figure.name == name and figure.value is not None and figure.step is not None
        ]
        runs = {run: [point for point in points if point.run == run] for run in dict.fromkeys(p.run for p in points)}
        if any(len(of_run) > 1 for of_run in runs.values()):
            plots.append(_curve(name, runs))
    return f"<h2>Curves over steps</h2>{''.join(plots)}" if plots else ""


def _curve(name: str, runs: Mapping[str, Sequence[Figure]]) -> str:
    points = [point for of_run in runs.values() for point in of_run]
    values = [value for p in points for value in (p.value, p.low, p.high, p.floor, p.ceiling) if value is not None]
    low, high = min(values), max(values)
    first, last = min(p.step or 0 for p in points), max(p.step or 0 for p in points)

    def x(step: float) -> float:
        return MARGIN + (CURVE_WIDTH - 2 * MARGIN) * (step - first) / max(last - first, 1)

    def y(value: float) -> float:
        return CURVE_HEIGHT - 30 - (CURVE_HEIGHT - 50) * (value - low) / ((high - low) or 1)

    parts = []
    for level, label in ((points[0].floor, "floor"), (points[0].ceiling, "ceiling")):
        if level is not None:
            parts.append(
                f'<line x1="{MARGIN}" x2="{CURVE_WIDTH - MARGIN}" y1="{y(level):.1f}" y2="{y(level):.1f}" '
                f'stroke="#999" stroke-dasharray="4 3"/>'
                f'<text x="{CURVE_WIDTH - MARGIN + 3}" y="{y(level):.1f}" font-size="10">{label}</text>'
            )
    for index, (run, of_run) in enumerate(runs.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = " ".join(f"{x(p.step or 0):.1f},{y(p.value or 0.0):.1f}" for p in of_run)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for p in of_run:
            if p.low is not None and p.high is not None:
                at = f"{x(p.step or 0):.1f}"
                parts.append(
                    f'<line x1="{at}" x2="{at}" y1="{y(p.low):.1f}" y2="{y(p.high):.1f}" stroke="{colour}" '
                    f'opacity=".4"/>'
                )
        parts.append(f'<text x="{MARGIN + 4}" y="{24 + 13 * index}" font-size="11" fill="{colour}">{_text(run)}</text>')
    parts += [
        f'<text x="2" y="{y(value):.1f}" font-size="10">{_number(value)}</text>' for value in dict.fromkeys((low, high))
    ]
    parts += [
        f'<text x="{x(step):.1f}" y="{CURVE_HEIGHT - 8}" font-size="10" text-anchor="middle">{step}</text>'
        for step in dict.fromkeys((first, last))
    ]
    return (
        f"<figure><figcaption>{_text(name)}</figcaption>"
        f'<svg width="{CURVE_WIDTH}" height="{CURVE_HEIGHT}" role="img">{"".join(parts)}</svg></figure>'
    )


def _kept(examined: Examined) -> str:
    lines = [f"<li>{_text(run)} kept step {step} as its best by itself</li>" for run, step in examined.kept.items()]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _grid(examined: Examined) -> str:
    count = min(GRID_IMAGES, len(examined.source))
    rows = [
        ("input", examined.source),
        *((f"{made.run}, step {made.step}", made.images) for made in examined.translations),
    ]
    lines = [
        f"<tr><th>{_text(label)}</th>{''.join(f'<td>{image(images[index])}</td>' for index in range(count))}</tr>"
        for label, images in rows
    ]
    return f'<h2>The same inputs, translated to {_text(examined.to)}</h2><table class="grid">{"".join(lines)}</table>'


def neighbours(generated: ImageSet, real: ImageSet, source: ImageSet | None, evaluator: Evaluator, title: str) -> str:
    """Return the generated images that are nearest to a real one, and those that are farthest from all real ones.

    Distances are those of the protocol's features, divided by the median distance of a real image to its nearest other
    real image: far below 1 the translator may have memorized, far above 1 the image is unlike all real ones.

    Args:
        generated: the generated images.
        real: real images of the target domain.
        source: the inputs, if each belongs to a generated image.
        evaluator: whose features are compared.
        title: what was measured.
    """
    distance, nearest = nearest_real(evaluator.features(generated), evaluator.features(real))
    order = distance.argsort().tolist()

    def shown(indices: Sequence[int]) -> str:
        return "".join(
            _figure(
                [
                    *([source[index]] if source is not None and len(source) == len(generated) else []),
                    generated[index],
                    real[int(nearest[index])],
                ],
                f"{generated.names[index]}: {distance[index]:.2f}",
            )
            for index in indices
        )

    columns = "input, output, nearest real image" if source is not None else "output, nearest real image"
    return (
        f"<h2>Nearest real images: {_text(title)}</h2>"
        f"<p>{columns}. Distances of features ({_text(evaluator.network.name)}), relative to the median between "
        f"nearest real images.</p><h3>Nearest to a real image (memorization)</h3>{shown(order[:SHOWN])}"
        f"<h3>Farthest from all real images (lowest realism)</h3>{shown(order[::-1][:SHOWN])}"
    )


def nearest_real(generated: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Return each generated image's distance to its nearest real one, relative to that among real ones, and its index.

    Args:
        generated: features [n, d].
        real: features [m, d], m > 1.
    """
    among = torch.cdist(real.double(), real.double()).fill_diagonal_(torch.inf)
    distance, index = torch.cdist(generated.double(), real.double()).min(1)
    return distance / among.min(1).values.median().clamp_min(1e-12), index


def _cycle_failures(made: Translations, examined: Examined) -> str:
    """Return the inputs that differ most from their translation there and back; empty where that cannot be computed."""
    origin = next((domain for domain in made.loaded.translator.domains if domain != examined.to), examined.to)
    try:
        distances = cycle_distances(made, examined.source, origin)
    except I2IError:
        return ""
    if distances is None:
        return ""
    worst = sorted(range(len(distances)), key=lambda index: -distances[index])[:SHOWN]
    shown = "".join(
        _figure([examined.source[index], made.images[index]], f"{made.images.names[index]}: {distances[index]:.3f}")
        for index in worst
    )
    return (
        f"<h2>Largest distance to the input's cycle: {_text(made.run)}, step {made.step}</h2>"
        f"<p>Input and output; the number is the feature distance between the input and its translation there and "
        f"back.</p>{shown}"
    )


def image(pixels: Pixels) -> str:
    """Return an embedded thumbnail."""
    thumbnail = Image.fromarray(pixels)
    thumbnail.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = BytesIO()
    thumbnail.save(buffer, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _figure(images: Sequence[Pixels], caption: str) -> str:
    row = "".join(f"<td>{image(pixels)}</td>" for pixels in images)
    return f'<figure><table class="grid"><tr>{row}</tr></table><figcaption>{_text(caption)}</figcaption></figure>'


def _text(value: object) -> str:
    return html.escape(str(value))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
