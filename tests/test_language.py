"""Terms that the project dropped do not come back: the field's own words stand in code, messages and documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from i2i.core.plugins import Plugins

ROOT = Path(__file__).parents[1]

DROPPED: dict[str, str] = {
    r"(re)?paint(s|ed|er|ers)?|while painting": "generate, translate to",
    r"judg(e|es|ed|ing|ement|ements)": "discriminate, classify; DiscriminatorOutput",
    r"rehears(e|es|ed|al|als|ing)": "dry run",
    r"anew": "again, from scratch",
    r"bursts?|BurstError": "training diverged; NonFiniteError",
    r"doctors?": "training diagnostics",
    r"over(hear|hears|heard|hearing)|hears?|heard": "captured with hooks",
    r"fore(see|sees|saw|seen|seeing)": "predict",
    r"mend(s|ed|ing)?": "fix",
    r"(left|leaves?|leaving) away": "omitted",
    r"pictures?": "image",
    r"(is|are|was|were) no numbers?": "not finite (NaN or Inf)",
    r"no longer numbers": "not finite (NaN or Inf)",
    r"otherwise than": "changed since",
    r"go(es|ing)? on|went on|gone on": "continue, resume",
    r"not to be had|cannot be had": "not available",
    r"ways? of convolving": "convolution algorithm",
    r"doing nothing": "identity baseline",
    r"hidden pairs?|HiddenPairs": "held-out pairs",
    r"knows? the truth|with a truth|with the truth": "has ground truth",
    r"(official|reference|authors') codes": "official implementations",
    r"beside": "next to; in addition to",
    r"in peace": "without interruption",
    r"told": "reported, given",
    r"rests": "is skipped",
    r"ill|healthy|sick": "failing, failure mode",
    r"plays_as|are_taken|one_by_one|memory_told|workers_told|depends_on_batch": "the new names of the API",
    r"Judgement|Guarded|Unsaved|Keeper|ImagePainter": "the new names of the API",
}
"""What must not stand in a text, as a regular expression of whole words, and what to write instead."""

ALLOWED: dict[str, str] = {
    r"beside\.py": "the name of a benchmark",
    r"face_paint_512_v2\.pt": "a file of released weights",
    r"test_doctor\.py": "the name of a test file",
    r"i2i[-_]paints|(runs|methods)/paints|paints\.(md|toml)|paints_[a-z0-9]+|train paints|[`\"]paints[`\"]|^paints": (
        "the plugin and the recipes of PaintsChainer"
    ),
    r"^\| .*`(Judgement|Painter|plays_as|judge|shown|one_by_one|rehearse|Guarded|BurstError).*": "old names",
}
"""Texts in which a dropped word is right, each with its reason: titles of papers, names of files and data sets."""

WORDS = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(DROPPED)})(?![A-Za-z0-9])", re.IGNORECASE)
EXCEPTIONS = re.compile("|".join(ALLOWED))


@cache
def sources() -> dict[str, list[Path]]:
    """Return the texts to look at, by part of the project."""
    parts = {
        "i2i": sorted((ROOT / "i2i").glob("*.py")),
        "docs": [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))],
        "recipes": sorted((ROOT / "recipes").glob("*.toml")),
        "benchmarks": sorted((ROOT / "benchmarks").glob("*.py")),
    }
    for folder in sorted((ROOT / "i2i").iterdir()):
        if folder.is_dir() and folder.name != "__pycache__":
            parts[f"i2i/{folder.name}"] = sorted(folder.rglob("*.py"))
    for folder in sorted((ROOT / "plugins").iterdir()):
        files = (path for end in ("*.py", "*.toml", "*.md") for path in folder.rglob(end))
        parts[f"plugins/{folder.name}"] = sorted(path for path in files if ".venv" not in path.parts)
    return parts


def dropped_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line number and the word of each dropped word, also of parts of names such as `_told_once`."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in WORDS.finditer(EXCEPTIONS.sub("", line)):
            yield number, found[0]


def instead(word: str) -> str:
    return next(new for old, new in DROPPED.items() if re.fullmatch(old, word, re.IGNORECASE))


@pytest.mark.parametrize("part", list(sources()))
def test_dropped_terms_do_not_come_back(part: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word!r}: {instead(word)}"
        for path in sources()[part]
        for number, word in dropped_words(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def helps(command: click.Command, context: click.Context) -> Iterator[str]:
    yield command.get_help(context)
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from helps(inner, click.Context(inner, info_name=name, parent=context))


def test_help_uses_the_terms_of_the_field() -> None:
    group = click.Group("i2i")
    Plugins({}).register_commands(group)
    text = "\n".join(helps(group, click.Context(group, info_name="i2i", help_option_names=["-h", "--help"])))
    assert len(text) > 5000
    assert [word for _, word in dropped_words(text)] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Paints b from a.", ["Paints"]),
        ("def _told_once(self):", ["told"]),
        ("a painting by van Gogh, besides", []),
        ("the doctor said in peace", ["doctor", "in peace"]),
        ("until it goes on", ["goes on"]),
        ("losses are no numbers", ["are no numbers"]),
        ("recommended amendment, pictured, still, killed", []),
    ],
)
def test_words_are_found_whole(text: str, words: list[str]) -> None:
    assert [word for _, word in dropped_words(text)] == words
