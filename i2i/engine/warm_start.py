"""Initialization of a new run with the weights of another run, checkpoint or official checkpoint."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field

from i2i.engine.adapters import check_base, source_weights
from i2i.engine.run import Run
from i2i.errors import CheckpointError
from i2i.methods.freezing import matches
from i2i.nn.layers.low_rank import DOWN, UP
from i2i.nn.weight_files import few

REPORT = "warm_start.json"
"""File of the run folder that names every tensor."""
log = logging.getLogger("i2i")


@dataclass
class WarmStart:
    """Report of a warm start: names of the translator's tensors by their treatment.

    Args:
        source: description of the source of the weights.
        taken: tensors that were loaded from the source.
        excluded: tensors that `train.init_include` and `train.init_exclude` exclude; these and the next two keep their
            initial values.
        missing: tensors that the source does not have.
        mismatched: tensors with another shape in the source, with expected and found shape.
        unused: tensors of the source that the translator does not have.
    """

    source: str
    taken: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report, one line for each treatment that occurs."""
        total = len(self.taken) + len(self.excluded) + len(self.missing) + len(self.mismatched)
        shapes = [f"{name} {found} instead of {expected}" for name, (expected, found) in self.mismatched.items()]
        parts = {
            "from scratch, not in the source": self.missing,
            "from scratch, of another shape in the source": shapes,
            "from scratch, excluded": self.excluded,
            "of the source not used": self.unused,
        }
        lines = [f"train.init: took {len(self.taken)} of {total} tensors from {self.source}"]
        return lines + [f"train.init: {len(names)} {what}: {few(names)}" for what, names in parts.items() if names]


def warm_start(run: Run) -> None:
    """Load the weights that `train.init` names into a new run, by name and shape, and report what was loaded.

    Optimizers, schedule and step number start from scratch; averaged weights start from the loaded ones.

    Args:
        run: a new run.

    Raises:
        CheckpointError: the weights do not exist, a pattern matches nothing, or no tensor fits.
    """
    options = run.recipe.train
    assert options.init is not None
    weights, source = source_weights(options.init)
    # Adapters are new in every run.
    state = {name: value for name, value in run.translator.state_dict().items() if not name.endswith((UP, DOWN))}
    for option in ("init_include", "init_exclude"):
        for pattern in getattr(options, option):
            if not any(matches(name, pattern) for name in (*state, *weights)):
                raise CheckpointError(f"train.{option}: {pattern!r} matches no tensor of the translator or of {source}")
    report = WarmStart(source, unused=[name for name in weights if name not in state])
    for name, value in state.items():
        included = not options.init_include or any(matches(name, pattern) for pattern in options.init_include)
        if not included or any(matches(name, pattern) for pattern in options.init_exclude):
            report.excluded.append(name)
        elif name not in weights:
            report.missing.append(name)
        elif weights[name].shape != value.shape:
            report.mismatched[name] = list(value.shape), list(weights[name].shape)
        else:
            report.taken.append(name)
    if not report.taken:
        raise CheckpointError("; ".join(report.lines()))
    check_base(run.translator, report.taken, source)
    run.translator.load_state_dict({**run.translator.state_dict(), **{name: weights[name] for name in report.taken}})
    ema = run.stepper.ema
    if ema is not None:
        ema.load(ema.weights())
    if run.is_main:
        (run.folder / REPORT).write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
        for line in report.lines():
            log.warning("%s", line)
