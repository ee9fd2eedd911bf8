"""The shipped recipes of published methods resolve to the numbers of papers and official code, each with its source.

`published.toml` is written down from the sources, not from the recipes. A number that a recipe resolves to and that is
neither there nor ours to choose fails, and so does a row without a source.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from i2i.recipe.recipe import Recipe

TABLE = Path(__file__).parent / "published.toml"
OURS = (
    # How a step is computed, not what it computes.
    "optimizers.*.foreach",
    "optimizers.*.fused",
    "optimizers.*.capturable",
    "optimizers.*.differentiable",
    "optimizers.*.maximize",
    "optimizers.*.amsgrad",
    "optimizers.*.decoupled_weight_decay",
    "*activation.inplace",
    "data.cache",
    "data.augment_on",
    # Which images are read, and which are refused or held out.
    "data.srgb",
    "data.val",
    "data.min_images",
    "data.aspect",
    # What is saved, shown and measured, and where.
    "train.*_every",
    "train.keep_*",
    "train.evaluate",
    "train.patience",
    "train.sample_count",
    "train.workers",
    "train.trackers",
    "train.seed",
    "train.precision",
    "train.accumulate",
    "train.rollbacks",
    "train.reference",
    "train.compile",
    "train.gradient_checkpointing",
    "train.weight_copies",
    "train.fuse",
    "train.graph",
    "train.tf32",
    "train.cudnn_benchmark",
    "train.channels_last",
    "train.process_timeout",
    "train.deterministic",
    # What losses look at: the official trajectories compare it.
    "losses.*.inputs.*",
    "losses.*.reduction",
)
"""Keys that no publication decides."""

Numbers = dict[str, Any]


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def published(name: str) -> Numbers:
    table = dict(flat(tomllib.loads(TABLE.read_text())[name]))
    table.pop("source", None)
    without = tuple(table.pop("without", ()))
    inherited = published(table.pop("extends")) if "extends" in table else {}
    return {key: value for key, value in inherited.items() if not key.startswith(without or ("\0",))} | table


def resolved(name: str) -> Numbers:
    """What a recipe sets; an option that is off says nothing."""
    numbers = dict(flat(Recipe.read(name).resolved()))
    return {key: value for key, value in numbers.items() if value != "none" and value != []}


NAMES = list(tomllib.loads(TABLE.read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_recipe_has_the_published_numbers(name: str) -> None:
    expected = published(name)
    found = {key: value for key, value in resolved(name).items() if not any(fnmatch(key, pattern) for pattern in OURS)}
    assert {key: value for key, value in found.items() if key in expected} == expected
    assert not found.keys() - expected.keys(), "numbers without a source"


def test_every_row_names_its_source() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if re.match(r"[a-z]\w*\..* = ", line)]
    assert len(rows) > 500
    assert [row for row in rows if not re.search(r" # \S", row)] == []


def test_every_published_recipe_is_in_the_table() -> None:
    """Recipes for short runs (`*_small`, `quickstart`) and our own variants have numbers of their own."""
    shipped = {file.stem for file in (Path(__file__).parents[2] / "recipes").glob("*.toml")}
    own = {name for name in shipped if name.endswith("_small")} | {
        "quickstart",
        "best_unpaired",
        "best_small_data",
        "sincut_resnet",
    }
    own |= {"pix2pix_labels", "pix2pix_classes", "cyclegan_masked"}
    assert shipped - own == set(NAMES)
