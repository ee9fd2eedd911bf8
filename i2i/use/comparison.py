"""What the files of several runs say, side by side."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from i2i.engine import checkpoint
from i2i.engine.hooks.log import NAME, entries
from i2i.errors import CheckpointError
from i2i.use.run_evaluation import run_names

ABSENT = "-"


def compared(runs: Sequence[Path], everything: bool = False) -> list[list[str]]:
    """Return a table with a column for each run; the first row holds the runs' names.

    Args:
        runs: run folders.
        everything: whether options that are equal in all runs are included.

    Raises:
        CheckpointError: a folder is no run, or its newest checkpoint is damaged.
    """
    columns = [_facts(run) for run in runs]
    options = [dict(_flat(tomllib.loads(checkpoint.find(run).recipe()))) for run in runs]
    rows = [["", *run_names(runs)]]
    for name in dict.fromkeys(name for column in columns for name in column):
        rows.append([name, *(column.get(name, ABSENT) for column in columns)])
    for name in dict.fromkeys(name for column in options for name in column):
        values = [column.get(name, ABSENT) for column in options]
        if everything or len(set(values)) > 1:
            rows.append([name, *values])
    return rows


def _facts(run: Path) -> dict[str, str]:
    """Return the recipe, the step, the last losses and metrics and the best checkpoint of a run."""
    saved = checkpoint.find(run)
    facts = {"recipe": str(saved.state.get("recipe", run.name)), "step": str(saved.step)}
    last: dict[str, Mapping[str, Any]] = {}
    steps_per_second: list[float] = []
    for _, entry in entries(run / NAME) if (run / NAME).is_file() else ():
        last[entry["event"]] = entry
        if isinstance(entry.get("steps_per_second"), int | float):
            steps_per_second.append(float(entry["steps_per_second"]))
    if steps_per_second:
        facts["steps per second (median)"] = f"{sorted(steps_per_second)[len(steps_per_second) // 2]:.3g}"
    for event, key in (("step", "terms"), ("finished", "metrics"), ("evaluation", "metrics")):
        values = last.get(event, {}).get(key)
        for name, value in values.items() if isinstance(values, dict) else ():
            facts[str(name)] = f"{value:.4g}" if isinstance(value, int | float) else str(value)
    best = saved.state.get("best")
    if isinstance(best, dict) and isinstance(best.get("value"), int | float):
        facts["best"] = (
            f"{best.get('name')} {best['value']:.4g} at step {best.get('step')} of {best.get('compared')} compared"
        )
    if saved.step not in checkpoint.listed(run):
        raise CheckpointError(f"{run} is not a run folder; give the folder that `i2i train` wrote")
    return facts


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, str(value)
