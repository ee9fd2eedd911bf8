"""Sweeps: the same recipe trained with several values of some options, compared by one metric, through Optuna."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from i2i.core.hookspecs import hookimpl
from i2i.core.kinds import METRIC
from i2i.data.writing import write_whole
from i2i.engine import checkpoint
from i2i.engine.run import Run
from i2i.engine.run_lock import is_locked
from i2i.errors import I2IError

if TYPE_CHECKING:
    import optuna

Sampler = Literal["grid", "random", "tpe"]
REPORT = "report.md"
STARTING = timedelta(minutes=1)
"""How long after its start a trial without a locked run folder is not taken for one that has died."""
_RANGE = re.compile(r"^(log:)?([-+.\de]+)\.\.([-+.\de]+)$")


@dataclass(frozen=True)
class Range:
    """Numbers between two ends.

    Args:
        low: smallest one.
        high: largest one.
        log: whether their logarithm is uniform.
    """

    low: float
    high: float
    log: bool = False


Values = tuple[str, ...] | Range


def parse(settings: Sequence[str]) -> tuple[list[str], dict[str, Values]]:
    """Split settings into fixed ones and swept ones.

    Args:
        settings: `key=value` is fixed, `key=v1,v2` is swept, and so is the range `key=1e-5..1e-3`, or
            `key=log:1e-5..1e-3` on a logarithmic scale. Commas inside of brackets and quotes separate nothing.

    Example:
        >>> parse(["losses.cycle.weight=5,10", "data.size=[64, 32]"])
        (['data.size=[64, 32]'], {'losses.cycle.weight': ('5', '10')})
    """
    fixed: list[str] = []
    swept: dict[str, Values] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if (found := _RANGE.match(text.strip())) is not None:
            try:
                bounds = swept[key] = Range(float(found[2]), float(found[3]), bool(found[1]))
            except ValueError as error:
                raise I2IError(f"--set {setting}: expected numbers on both sides of '..'") from error
            if not bounds.low < bounds.high or (bounds.log and bounds.low <= 0):
                raise I2IError(f"--set {setting}: expected a smaller number first, above 0 for a logarithmic scale")
        elif len(values := _split(text)) > 1:
            swept[key] = tuple(dict.fromkeys(values))
        else:
            fixed.append(setting)
    if not swept:
        raise I2IError("nothing to sweep: give at least one option several values, such as --set train.seed=0,1,2")
    return fixed, swept


def _split(text: str) -> list[str]:
    """Split at the commas outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "[{") - (character in "]}")
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def combinations(swept: Mapping[str, Values]) -> list[dict[str, str]] | None:
    """Return all combinations of listed values, or None where a range has no end of them."""
    lists = [values for values in swept.values() if not isinstance(values, Range)]
    if len(lists) < len(swept):
        return None
    return [dict(zip(swept, chosen, strict=True)) for chosen in itertools.product(*lists)]


@dataclass
class Sweep:
    """A sweep in a folder, or in a storage that several machines share.

    Args:
        folder: holds the study (`study.db`), a run folder for each trial, and the report.
        swept: values of the options by their key.
        metric: a metric such as `kid`, or a logged term such as `generator/cycle`.
        sampler: all combinations (`grid`), `random` ones, or those that Optuna's tree-structured Parzen estimator
            (`tpe`) proposes after the results so far.
        trials: number of trials; with `grid` that of the combinations.
        prune: whether a trial stops early whose metric is worse than the median of the others at the same step.
        storage: URL of a database, such as one that several machines reach; `study.db` in the folder when None.
        seed: of the samplers.
    """

    folder: Path
    swept: Mapping[str, Values]
    metric: str
    sampler: Sampler = "grid"
    trials: int = 20
    prune: bool = True
    storage: str | None = None
    seed: int = 0

    @property
    def maximizes(self) -> bool:
        """Whether larger values of the metric are better."""
        return "/" not in self.metric and METRIC(self.metric).component.better == "higher"

    def study(self) -> optuna.Study:
        """Open the study, or create it with its first trials.

        Raises:
            I2IError: Optuna is missing, or the study in the folder sweeps something else.
        """
        try:
            import optuna
        except ModuleNotFoundError as error:
            raise I2IError("sweeps need Optuna: pip install 'i2i[sweep]'") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder.mkdir(parents=True, exist_ok=True)
        samplers = optuna.samplers
        study = optuna.create_study(
            storage=self.storage or f"sqlite:///{self.folder / 'study.db'}",
            study_name=self.folder.name,
            direction="maximize" if self.maximizes else "minimize",
            sampler=samplers.TPESampler(seed=self.seed) if self.sampler == "tpe" else samplers.RandomSampler(self.seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3) if self.prune else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        described = {"metric": self.metric, "swept": {key: str(values) for key, values in self.swept.items()}}
        known = study.user_attrs.get("sweep")
        if known is None:
            study.set_user_attr("sweep", described)
        elif known != described:
            raise I2IError(
                f"{self.folder} sweeps {known['swept']} by {known['metric']}, got {described['swept']} by "
                f"{self.metric}; choose another --output"
            )
        return study

    def prepare(self, study: optuna.Study) -> None:
        """Queue the combinations of a grid, and again the trials whose process has died."""
        import optuna

        if self.sampler == "grid":
            for values in combinations(self.swept) or ():
                study.enqueue_trial(values, user_attrs={"queued": values}, skip_if_exists=True)
        for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            folder = self.folder_of(trial)
            started = trial.datetime_start
            # A trial that continues another's folder has one before its process has locked it.
            unlocked_yet = not folder.is_dir() or "continues" in trial.user_attrs
            young = started is not None and datetime.now() - started < STARTING and unlocked_yet
            if young or is_locked(folder):
                continue
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            kept = {"queued": trial.params, "continues": folder.name, "replaces": trial.number}
            study.enqueue_trial(trial.params, user_attrs=kept)

    def folder_of(self, trial: optuna.trial.FrozenTrial | optuna.Trial) -> Path:
        """Return the run folder of a trial, which one that was started again shares with the first."""
        return self.folder / str(trial.user_attrs.get("continues", f"trial-{trial.number:04d}"))

    def work(self, study: optuna.Study, train: Callable[[list[str], Path, Any], Run]) -> bool:
        """Train one trial after another until none is left.

        Args:
            study: the study.
            train: trains with settings in a folder, with a hook that reports the metric; resumes what is there.

        Returns:
            Whether the sweep has ended, and was not interrupted.
        """
        import optuna

        states = optuna.trial.TrialState
        while True:
            waiting = study.get_trials(deepcopy=False, states=[states.WAITING])
            counted = [t for t in study.get_trials(deepcopy=False) if t.state not in (states.FAIL, states.WAITING)]
            if not waiting and (self.sampler == "grid" or len(counted) >= self.trials):
                return True
            trial = study.ask()
            if self.sampler == "grid" and "queued" not in trial.user_attrs:
                # Another worker has taken the last waiting trial between the two lines above.
                trial.set_user_attr("surplus", True)
                study.tell(trial, state=states.FAIL)
                return True
            values = {key: _suggest(trial, key, choices) for key, choices in self.swept.items()}
            hook = ReportMetric(trial, self.metric)
            try:
                run = train([f"{key}={value}" for key, value in values.items()], self.folder_of(trial), hook)
            except (I2IError, ArithmeticError, RuntimeError) as error:
                trial.set_user_attr("error", " ".join(str(error).split())[:300])
                study.tell(trial, state=states.FAIL)
                continue
            if run.interrupted and not hook.pruned:
                return False  # the trial stays open, and a later start continues it
            if hook.value is None or not math.isfinite(hook.value):
                trial.set_user_attr("error", f"{self.metric} was not measured")
                study.tell(trial, state=states.FAIL)
            elif hook.pruned:
                study.tell(trial, state=states.PRUNED)
            else:
                study.tell(trial, hook.value)
            self.write_report(study)

    def write_report(self, study: optuna.Study) -> str:
        """Write the report into the folder and return it: the trials from the best to the worst."""
        keys = list(self.swept)
        trials = [t for t in study.get_trials(deepcopy=False) if "surplus" not in t.user_attrs]
        replaced = {t.user_attrs.get("replaces") for t in trials}
        shown = [t for t in trials if t.number not in replaced]

        def rank(trial: optuna.trial.FrozenTrial) -> tuple[bool, float]:
            value = _value(trial)
            finished = trial.state.name == "COMPLETE"
            return not finished, math.inf if value is None else (-value if self.maximizes else value)

        better = "higher" if self.maximizes else "lower"
        lines = [f"# {self.folder.name}", "", f"{self.metric}, {better} is better", ""]
        lines += [f"| run | {' | '.join(keys)} | {self.metric} | at step | state |", "|---" * (len(keys) + 4) + "|"]
        for trial in sorted(shown, key=rank):
            value, step = _value(trial), trial.last_step
            chosen = trial.user_attrs.get("queued", trial.params)
            values = [str(chosen.get(key, "")) for key in keys]
            state = trial.state.name.lower() + (f": {trial.user_attrs['error']}" if "error" in trial.user_attrs else "")
            cells = [self.folder_of(trial).name, *values, "" if value is None else f"{value:.5g}"]
            lines.append("| " + " | ".join([*cells, "" if step is None else str(step), state]) + " |")
        text = "\n".join(lines) + "\n"
        write_whole(self.folder / REPORT, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        return text


class ReportMetric:
    """Hook that reports a metric to a trial and stops the run where the trial is pruned.

    A metric of `train.evaluate` is reported after each evaluation, and a logged term at each checkpoint, as its mean
    over the steps logged since the last one.

    Args:
        trial: the trial.
        metric: metric, or logged term.
    """

    def __init__(self, trial: Any, metric: str) -> None:
        self.trial, self.metric = trial, metric
        self.value: float | None = None
        """The last reported value."""
        self.pruned = False
        self._logged: list[float] = []

    @hookimpl
    def step_finished(self, run: Run, terms: Mapping[str, Any]) -> None:
        """Collect a logged term."""
        options = run.recipe.train
        if self.metric in terms and (run.step % options.log_every == 0 or run.step == run.steps):
            self._logged.append(float(terms[self.metric]))
            if run.step % options.checkpoint_every == 0 or run.step == run.steps:
                self._report(run, sum(self._logged) / len(self._logged))
                self._logged.clear()

    @hookimpl
    def evaluation_finished(self, run: Run) -> None:
        """Report a measured metric."""
        label = run.metric_labels.get(self.metric, self.metric)
        if label in run.metrics:
            self._report(run, run.metrics[label])

    def _report(self, run: Run, value: float) -> None:
        self.value = value
        self.trial.report(value, run.step)
        self.pruned = run.step < run.steps and bool(self.trial.should_prune())
        run.stop_requested = run.stop_requested or self.pruned


def _suggest(trial: optuna.Trial, key: str, values: Values) -> str:
    if isinstance(values, Range):
        return repr(trial.suggest_float(key, values.low, values.high, log=values.log))
    return str(trial.suggest_categorical(key, values))


def _value(trial: optuna.trial.FrozenTrial) -> float | None:
    last = trial.last_step
    return trial.value if trial.value is not None else None if last is None else trial.intermediate_values[last]


def newest(folder: Path) -> checkpoint.Checkpoint | None:
    """Return the newest checkpoint of a trial's run folder, or None for a new one."""
    return checkpoint.find(folder) if checkpoint.listed(folder) else None
