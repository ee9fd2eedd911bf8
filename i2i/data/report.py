"""The report of `i2i data check`: what is in data sets, what is wrong with them, and what a recipe does to them."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from i2i.data.facts import ImageFacts, all_facts, near_duplicates
from i2i.data.images import read_image
from i2i.data.layouts import find_splits, find_unpaired
from i2i.data.listing import Listing, list_images
from i2i.data.sources.locate import Place
from i2i.data.writing import write_image
from i2i.errors import DataError

_NAMED = 5
_THUMBNAIL, _COLUMNS = 96, 10


@dataclass
class Part:
    """A folder of a data set, with the facts of its images.

    Args:
        name: what the report calls it.
        listing: its files.
        facts: of each image, in the listing's order.
    """

    name: str
    listing: Listing
    facts: list[ImageFacts] = field(default_factory=list)

    @property
    def readable(self) -> list[ImageFacts]:
        """Facts of the images that can be read."""
        return [fact for fact in self.facts if fact.problem is None]

    def short(self, fact: ImageFacts) -> str:
        """Name of an image inside the folder."""
        return self.listing.relative(fact.path).as_posix()


@dataclass
class Report:
    """What was found.

    Args:
        parts: the folders.
        findings: by part, and under `""` between parts: one sentence for each kind of problem.
        notes: by part: what else is worth knowing.
    """

    parts: list[Part]
    findings: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def lines(self) -> Iterator[str]:
        """The report as text."""
        for part in self.parts:
            yield f"{part.name}: {part.listing.describe()}"
            yield from (f"  {note}" for note in self.notes[part.name])
            yield from (f"  ! {finding}" for finding in self.findings[part.name])
        yield from (f"! {finding}" for finding in self.findings[""])
        if not any(self.findings.values()):
            yield "nothing unusual was found"

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "parts": {
                part.name: {
                    "images": len(part.listing.images),
                    "passed_over": dict(part.listing.passed_over),
                    "sizes": dict(Counter(_size(fact) for fact in part.readable)),
                    "kinds": dict(Counter(fact.kind for fact in part.readable)),
                    "damaged": {part.short(fact): fact.problem for fact in part.facts if fact.problem is not None},
                    "notes": self.notes[part.name],
                    "findings": self.findings[part.name],
                }
                for part in self.parts
            },
            "findings": self.findings[""],
        }


def find_parts(place: Place, name: str) -> list[Part]:
    """The folders of a data set: domains and splits of a known layout, or the folder itself.

    Raises:
        DataError: it does not exist, or holds no image.
    """
    folders: dict[str, Place] = {}
    domains = find_unpaired(place)
    for domain, folder in (domains or {"": place}).items():
        parts = find_splits(folder)
        folders |= {f"{domain} {split}".strip(): inner for split, inner in parts.items()} or {domain: folder}
    labels = {key: f"{name} {key}".strip() for key in folders}
    return [Part(labels[key], list_images(folder)) for key, folder in folders.items()]


def check(parts: Sequence[Part], progress: Callable[[int], None] = lambda count: None) -> Report:
    """Read all images and report on them.

    Args:
        parts: the folders.
        progress: called with 1 after each image.
    """
    for part in parts:
        part.facts = []
        for fact in all_facts(part.listing.images):
            part.facts.append(fact)
            progress(1)
    report = Report(list(parts))
    for part in parts:
        report.notes[part.name] = list(_notes(part))
        report.findings[part.name] = list(_findings(part))
    for one, other in combinations(parts, 2):
        report.findings[""] += _overlap(one, other)
    return report


def _notes(part: Part) -> Iterator[str]:
    facts = part.readable
    source = getattr(part.listing.folder, "source", None)
    yield from getattr(source, "notes", ())
    if not facts:
        return
    sizes = Counter(map(_size, facts))
    if len(sizes) <= 3:
        yield "sizes: " + ", ".join(f"{size} ({count})" for size, count in sizes.most_common())
    else:
        widths, heights = (sorted(fact.size[axis] for fact in facts) for axis in (0, 1))
        yield (
            f"sizes: {widths[0]} to {widths[-1]} wide, {heights[0]} to {heights[-1]} high; median "
            f"{widths[len(facts) // 2]} x {heights[len(facts) // 2]}; most frequent {_most(sizes)}"
        )
    aspects = sorted(fact.aspect for fact in facts)
    if aspects[-1] - aspects[0] > 0.01:
        yield f"width by height: {aspects[0]:.2f} to {aspects[-1]:.2f}, median {aspects[len(aspects) // 2]:.2f}"
    yield "modes: " + ", ".join(f"{kind} ({count})" for kind, count in Counter(f.kind for f in facts).most_common())
    classes = Counter(part.listing.relative(fact.path).parts[0] for fact in facts if _in_subfolder(part, fact))
    if len(classes) > 1:
        yield "subfolders: " + ", ".join(f"{name} {count}" for name, count in classes.most_common(12))


def _findings(part: Part) -> Iterator[str]:
    facts = part.readable
    if damaged := [fact for fact in part.facts if fact.problem is not None]:
        shown = "; ".join(f"{part.short(fact)}: {fact.problem}" for fact in damaged[:_NAMED])
        yield f"{len(damaged)} damaged: {shown}{_more(damaged)}"
    by_digest: dict[bytes, list[ImageFacts]] = defaultdict(list)
    for fact in facts:
        by_digest[fact.digest].append(fact)
    if copies := [group for group in by_digest.values() if len(group) > 1]:
        extra = sum(map(len, copies)) - len(copies)
        yield f"{extra} exact duplicate{'s' * (extra > 1)}: {_groups(part, copies)}"
    first_of = {id(group[0]) for group in by_digest.values()}
    distinct = [fact for fact in facts if id(fact) in first_of]
    if near := near_duplicates(distinct):
        shown = _groups(part, [[distinct[a], distinct[b]] for a, b in near], " ~ ")
        yield f"{len(near)} pair{'s' * (len(near) > 1)} of near duplicates: {shown}"
    for text, chosen in (
        ("of one color", [fact for fact in facts if fact.one_color]),
        ("with a side under 32 pixels", [fact for fact in facts if min(fact.size) < 32]),
    ):
        if chosen:
            names = ", ".join(part.short(fact) for fact in chosen[:_NAMED])
            yield f"{len(chosen)} {text}: {names}{_more(chosen)}"
    unusual: dict[str, list[ImageFacts]] = defaultdict(list)
    for fact in facts:
        if fact.note is not None:
            unusual[fact.note.partition(":")[0]].append(fact)
    for named in unusual.values():
        yield f"{len(named)} with unusual values, such as {part.short(named[0])}: {named[0].note}"
    classes = Counter(part.listing.relative(fact.path).parts[0] for fact in facts if _in_subfolder(part, fact))
    if len(classes) > 1 and classes.most_common()[0][1] >= 10 * classes.most_common()[-1][1]:
        (most, many), (least, few) = classes.most_common()[0], classes.most_common()[-1]
        yield f"subfolders differ in size: {most} holds {many}, {least} {few}"


def _overlap(one: Part, other: Part) -> Iterator[str]:
    """Images of two parts that are the same, or look the same."""
    first, second = one.readable, other.readable
    digests = {fact.digest: fact for fact in first}
    same = [(digests[fact.digest], fact) for fact in second if fact.digest in digests]
    if same:
        shown = ", ".join(f"{one.short(a)} = {other.short(b)}" for a, b in same[:_NAMED])
        yield f"{one.name} and {other.name} share {_images(len(same))}: {shown}{_more(same)}"
    known = {fact.digest for _, fact in same}
    rest = [fact for fact in second if fact.digest not in known]
    together = [*first, *rest]
    near = [(a, b) for a, b in near_duplicates(together) if a < len(first) <= b]
    if near:
        shown = ", ".join(f"{one.short(together[a])} ~ {other.short(together[b])}" for a, b in near[:_NAMED])
        count = len({b for _, b in near})
        alike = f"{_images(count)} of {other.name} {'are' if count > 1 else 'is'} nearly equal to images of"
        yield f"{alike} {one.name}: {shown}{_more(near)}"


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _more(items: Sequence[object]) -> str:
    return " ..." if len(items) > _NAMED else ""


def _groups(part: Part, groups: Sequence[Sequence[ImageFacts]], sign: str = " = ") -> str:
    shown = ", ".join(sign.join(part.short(fact) for fact in group[:3]) for group in groups[:_NAMED])
    return shown + _more(groups)


def _size(fact: ImageFacts) -> str:
    return f"{fact.size[0]} x {fact.size[1]}"


def _most(sizes: Counter[str]) -> str:
    size, count = sizes.most_common(1)[0]
    return f"{size} ({count})"


def _in_subfolder(part: Part, fact: ImageFacts) -> bool:
    return len(part.listing.relative(fact.path).parts) > 1


def effects(part: Part, options: Mapping[str, Any], paired: bool | None) -> list[str]:
    """What a recipe's data set does to images of these sizes and modes, one line each.

    Args:
        part: the folder.
        options: every option of the data set by name.
        paired: whether the images are side-by-side pairs.
    """
    from i2i.data.transforms import SampleTransform

    facts = part.readable
    if not facts or "size" not in options:
        return []
    names = ("size", "load_size", "margin", "resize", "flip", "resample")
    transform = SampleTransform.of(**{name: options[name] for name in names if name in options})
    (height, width), (crop_height, crop_width) = transform.load_size, transform.size
    sizes = [(fact.size[0] // 2 if paired else fact.size[0], fact.size[1]) for fact in facts]
    lines = ["each half is an image of a pair"] if paired else []
    if transform.resize == "square":
        target = width / height
        bent = [size for size in sizes if not 0.9 < size[0] / size[1] / target < 1.1]
        lines.append(f"resized to {width} x {height} without regard to the aspect ratio")
        if bent:
            worst = max(max(w / h / target, target * h / w) for w, h in bent)
            lines[-1] += f"; {len(bent)} of {len(sizes)} are distorted by more than 10 %, at most {worst:.2f} times"
    elif transform.resize == "none":
        small = sum(w < crop_width or h < crop_height for w, h in sizes)
        lines.append("not resized" + (f"; {small} are smaller than the crop and cannot be used" if small else ""))
    else:
        verb = "cover" if transform.resize == "short_side" else "fit into"
        lines.append(f"resized with their aspect ratio to {verb} {width} x {height}")
    if transform.resize != "none":
        enlarged = [max(width / w, height / h) for w, h in sizes if w < width or h < height]
        if enlarged:
            lines.append(f"{len(enlarged)} are enlarged, at most {max(enlarged):.1f} times")
    if (height, width) != (crop_height, crop_width) or transform.varies:
        lines.append(f"cropped to {crop_width} x {crop_height} at a random place")
    if transform.flip:
        lines.append("half of them are mirrored")
    return lines


def write_sheet(report: Report, target: Path) -> None:
    """Write a contact sheet: images of each folder, evenly spaced, and in HTML the report itself.

    Args:
        report: what is shown.
        target: a file `.png` or `.html`.

    Raises:
        DataError: it has another suffix.
    """
    suffix = target.suffix.lower()
    if suffix not in (".png", ".html"):
        raise DataError(f"expected a contact sheet .png or .html, got {target.name}")
    rows = [(part, _thumbnails(part, 2 * _COLUMNS)) for part in report.parts]
    if suffix == ".png":
        write_image(_sheet(rows), target)
        return
    body = []
    for part, thumbnails in rows:
        found = "".join(f"<li>{html.escape(line)}</li>" for line in report.notes[part.name])
        found += "".join(f"<li><b>{html.escape(line)}</b></li>" for line in report.findings[part.name])
        images = "".join(_embedded(name, image) for name, image in thumbnails)
        title = html.escape(f"{part.name}: {part.listing.describe()}")
        body.append(f"<h2>{title}</h2><ul>{found}</ul><p>{images}</p>")
    between = "".join(f"<li><b>{html.escape(line)}</b></li>" for line in report.findings[""])
    style = "body{font-family:sans-serif;margin:2em}img{margin:2px}"
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Data check</title><style>{style}</style>'
        f"<h1>Data check</h1><ul>{between}</ul>{''.join(body)}</html>\n"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    part_file = target.with_name(f".{target.name}.part")
    part_file.write_text(page, encoding="utf-8")
    part_file.replace(target)


def _thumbnails(part: Part, count: int) -> list[tuple[str, Image.Image]]:
    facts = part.readable
    chosen = [facts[place * len(facts) // min(count, len(facts))] for place in range(min(count, len(facts)))]
    thumbnails = []
    for fact in chosen:
        try:
            image = read_image(fact.path)
        except DataError:  # more channels than can be shown
            continue
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        thumbnails.append((part.short(fact), image))
    return thumbnails


def _sheet(rows: Sequence[tuple[Part, Sequence[tuple[str, Image.Image]]]]) -> Image.Image:
    step, caption = _THUMBNAIL + 4, 16
    heights = [caption + step * max(1, -(-len(images) // _COLUMNS)) for _, images in rows]
    sheet = Image.new("RGB", (step * _COLUMNS, sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    top = 0
    for (part, images), height in zip(rows, heights, strict=True):
        draw.text((2, top + 2), f"{part.name}: {part.listing.describe()}", fill="black")
        for number, (_, image) in enumerate(images):
            row, column = divmod(number, _COLUMNS)
            sheet.paste(image, (column * step + 2, top + caption + row * step + 2))
        top += height
    return sheet


def _embedded(name: str, image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(name)}" title="{html.escape(name)}">'
