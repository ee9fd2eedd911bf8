"""Figures: measured values with everything that is needed to quote them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from i2i.core.version import __version__
from i2i.evaluation.feature_distances import Estimate


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Args:
        name: such as `fid`; with the network in brackets where it is not the one that the name stands for.
        protocol: name of the protocol.
        value: the value; None where it cannot be computed, and `note` says why.
        low: lower end of the interval.
        high: upper end of the interval.
        interval: what the interval is.
        n: number of generated images.
        n_real: number of images that they are compared with.
        better: `lower` or `higher`.
        floor: value for the input in place of the output; None without source images.
        ceiling: value for one half of the real images against the other.
        printed: value as the protocol's tool prints it, where that is another number.
        weights: SHA-256 of the network's weights.
        data: SHA-256 of each set of images.
        run: the run, if one was evaluated.
        step: step of the checkpoint.
        scanned: number of checkpoints among which this one may have been chosen.
        note: what must be said with the value.
    """

    name: str
    protocol: str
    value: float | None
    low: float | None = None
    high: float | None = None
    interval: str = "none"
    n: int = 0
    n_real: int = 0
    better: str = "lower"
    floor: float | None = None
    ceiling: float | None = None
    printed: float | None = None
    weights: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    step: int | None = None
    scanned: int | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: not computed; {self.note}"
        span = "" if self.low is None or self.high is None else f" ({self.low:.5g} to {self.high:.5g}; {self.interval})"
        ends = {"floor": self.floor, "ceiling": self.ceiling, "printed by the tool": self.printed}
        more = "".join(f", {name} {value:.5g}" for name, value in ends.items() if value is not None)
        return f"{self.name} {self.value:.6g}{span}, n {self.n} and {self.n_real}{more}"


@dataclass
class Evaluation:
    """Figures of one or several evaluations, and what must be said with all of them.

    Args:
        figures: the figures.
        notes: sentences about data and weights.
    """

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Figure:
        """Return the first figure of a name."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(f"no figure {name!r}; there are: {', '.join(dict.fromkeys(f.name for f in self.figures))}")

    def to_json(self) -> str:
        """Return the figures and notes as JSON."""
        content = {"i2i": __version__, "metrics": [asdict(figure) for figure in self.figures], "notes": self.notes}
        return json.dumps(content, indent=1)


def write_text(path: Path, text: str) -> None:
    """Write a text file completely or not at all; missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def as_estimate(value: Any) -> Estimate:
    """Return a metric's result as an estimate; one of a plugin may be a plain number."""
    return value if isinstance(value, Estimate) else Estimate(float(value))
