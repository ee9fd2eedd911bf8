"""The check of a whole recipe: its tables in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from annotated_types import Len

from i2i.core import kinds
from i2i.core.contracts import Stream
from i2i.core.factory import Factory, Kind
from i2i.core.registry import Registry
from i2i.core.signature import REQUIRED, Option, declared_values, lacks, options
from i2i.core.spelling import did_you_mean, nearest
from i2i.recipe.check import MISSING, SURE, Checker, holds_missing
from i2i.recipe.source import DEFAULT_TYPES, KeyPath, Source, dotted
from i2i.recipe.tables import TABLES, EvaluateOptions, OptimizerPlan, ParameterGroup, TrainOptions
from i2i.recipe.wiring import LossPlan, Wirer, Wiring
from i2i.recipe.writing import shown

GROUPS = Option("groups", tuple[dict[str, Any], ...], ())
"""What every optimizer's table may have in addition to the optimizer's own options."""


class Reader:
    """Reads a recipe's tables.

    Args:
        source: the recipe's values with their origins.
        registry: where component names are looked up.
    """

    def __init__(self, source: Source, registry: Registry) -> None:
        self.source = source
        self.checker = Checker(source, registry)
        self.keys = self._meant((), source.values, TABLES, "table")

    def parts(self) -> dict[str, Any]:
        """Every table, checked.

        Raises:
            RecipeError: everything that is wrong.
        """
        data = self._data()
        translator = self._component("translator", kinds.TRANSLATOR)
        self._check_streams(data, translator)
        wirer = self._wirer(translator)
        losses = self._losses(wirer)
        parts = {
            "data": data,
            "translator": translator,
            "losses": losses,
            "optimizers": self._optimizers(wirer),
            "schedule": self._component("schedule", kinds.SCHEDULE, needed=False),
        }
        train = self._train(wirer, losses)
        problems = [*self.source.problems, *self.checker.problems]
        if problems:
            raise self.source.error(problems)
        return {**parts, "train": TrainOptions(**train)}

    def _meant(self, path: KeyPath, given: Iterable[str], known: Sequence[str], what: str) -> dict[str, str]:
        """The key that stands for each known name; a misspelt one is reported, and stands for the one it looks like."""
        keys = {name: name for name in known if name in given}
        for key in given:
            if key not in known:
                near = did_you_mean(key, known)
                if not path and key in options(TrainOptions):
                    near = f" Did you mean 'train.{key}'?"
                self.checker.report((*path, key), f"no {what} {key!r}.{near} {what.capitalize()}s: {', '.join(known)}")
                keys.setdefault(nearest(key, known, SURE) or "", key)
        return keys

    def _path(self, table: str) -> KeyPath:
        return (self.keys.get(table, table),)

    def _value(self, table: str) -> Any:
        return self.source.values.get(self.keys.get(table, table), {})

    def _component(self, table: str, kind: Kind[Any], needed: bool = True) -> Factory[Any] | None:
        if needed and table not in self.keys:
            self.checker.report((), f"the table [{table}] is missing")
            return None
        found = self.checker.component(self._value(table), [kind], self._path(table), DEFAULT_TYPES.get((table,)))
        if found is not None and (lacking := lacks(found.component, kind.contract)):
            asked = f"which i2i.core.contracts.{kind.contract.__name__} asks for"
            self.checker.report(self._path(table), f"{kind} {found.name!r} has no {' and no '.join(lacking)}, {asked}")
        return found

    def _data(self) -> Factory[Any] | None:
        data = self._component("data", kinds.DATASET)
        self.streams = self._declared_streams(data)
        sizes = [stream.size for stream in self.streams.values() if stream.role == "image" and stream.size is not None]
        if sizes:
            self.checker.offered["image_size"] = (sizes[0], (*self._path("data"), "size"))
        return data

    def _declared_streams(self, data: Factory[Any] | None) -> Mapping[str, Stream]:
        """The data's streams; none where an option is wrong, which is reported already."""
        if data is None or not hasattr(data.component, "declare_streams") or holds_missing(dict(data.options)):
            return {}
        try:
            streams: Mapping[str, Stream] = data.component.declare_streams(
                declared_values(data.component, data.options)
            )
            return streams
        except Exception as error:  # code of a plugin, which may raise anything
            message = f"dataset {data.name!r}: declare_streams raises {type(error).__name__}: {error}"
            self.checker.report(self._path("data"), message)
            return {}

    def _wirer(self, translator: Factory[Any] | None) -> Wirer | None:
        if translator is None:
            return None
        lacking = [name for name in ("Outputs", "phases", "default_phase") if not hasattr(translator.component, name)]
        if lacking:
            self.checker.report(("translator",), f"translator {translator.name!r} has no {' and no '.join(lacking)}")
            return None
        return Wirer(translator.component)

    def _losses(self, wirer: Wirer | None) -> dict[str, LossPlan]:
        path = self._path("losses")
        tables = self._tables("losses", "[losses.NAME]")
        if tables is None:
            return {}
        tables = self.checker.named(tables, path)
        plans = {name: self._loss((*path, name), value, wirer) for name, value in tables.items()}
        if wirer and None not in plans.values():  # a loss with a mistake may be the one that a phase lacks
            playing = {call.phase for plan in plans.values() if plan for call in plan.calls}
            for phase in wirer.stepping:  # one that shares an optimizer is skipped without a loss
                if phase not in playing:
                    self.checker.report(path, f"no loss plays in the phase {phase!r}: it would train nothing")
        return {name: plan for name, plan in plans.items() if plan is not None}

    def _loss(self, path: KeyPath, value: Any, wirer: Wirer | None) -> LossPlan | None:
        table = value if isinstance(value, dict) else {}
        before = len(self.checker.problems)
        known = options(Wiring)
        wiring = self.checker.options({key: table[key] for key in known if key in table}, known, path, "a loss")
        factory = self.checker.component(value, [kinds.LOSS], path, common=known)
        if factory is None or wirer is None or wiring.get("inputs") is MISSING:
            return None
        wired = Wiring(**{key: one for key, one in wiring.items() if one is not MISSING})
        calls = wirer.wire(factory, wired, lambda below, message: self.checker.report((*path, *below), message))
        return LossPlan(factory, wired, calls) if len(self.checker.problems) == before else None

    def _optimizers(self, wirer: Wirer | None) -> dict[str, Any]:
        path = self._path("optimizers")
        tables = self._tables("optimizers", "[optimizers.PHASE]")
        if tables is None:
            return {}
        if wirer is not None:
            keys = self._meant(path, tables, wirer.stepping, "phase")
            for phase in wirer.stepping:
                if phase not in keys:
                    self.checker.report(path, f"the phase {phase!r} has no optimizer: add [optimizers.{phase}]")
        return {phase: self._optimizer(value, (*path, phase)) for phase, value in tables.items()}

    def _optimizer(self, value: Any, path: KeyPath) -> OptimizerPlan | None:
        factory = self.checker.component(value, [kinds.OPTIMIZER], path, common={"groups": GROUPS})
        tables = value.get("groups", []) if isinstance(value, dict) else []
        if factory is None:
            return None
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.checker.report((*path, "groups"), f"expected tables [[{dotted(path)}.groups]], got {shown(tables)}")
            return None
        declared = {name: replace(option, default=None) for name, option in options(factory.component).items()}
        settable = {name: option for name, option in declared.items() if name not in factory.kind.passed}
        groups = []
        for index, table in enumerate(tables):
            known = {"modules": Option("modules", Annotated[tuple[str, ...], Len(1)], REQUIRED), **settable}
            given = self.checker.options(table, known, (*path, "groups", index), f"a group of {factory.name!r}")
            groups.append(ParameterGroup(given.pop("modules", ()), given))
        return OptimizerPlan(factory, tuple(groups))

    def _train(self, wirer: Wirer | None, losses: Mapping[str, LossPlan]) -> dict[str, Any]:
        path = self._path("train")
        given = self._value("train")
        if isinstance(given, dict) and "epochs" in given:
            given = {"steps": 1, **given}  # a run computes them from its data
        train = self.checker.table(given, TrainOptions, path)
        clip = train.get("clip_grad_norm")
        if wirer is not None and isinstance(clip, dict):
            self._meant((*path, "clip_grad_norm"), clip, wirer.phases, "phase")
        if train.get("adapter") is not None and train.get("init") is None:
            self.checker.report((*path, "adapter"), "needs train.init, the weights that the adapters change")
        best = train.get("keep_best")
        if isinstance(best, str):
            terms = [f"{call.phase}/{name}" for name, plan in losses.items() for call in plan.calls]
            known = [*terms, *self.checker.registry.names(kinds.METRIC)]
            if best not in known:
                message = f"no term or metric {best!r}.{did_you_mean(best, known)} There are: {', '.join(known)}"
                self.checker.report((*path, "keep_best"), message)
        self._evaluate(train, path)
        return train

    def _evaluate(self, train: Mapping[str, Any], path: KeyPath) -> None:
        """Report unknown metrics, and evaluations that early stopping and `keep_best` would wait for in vain."""
        best, evaluate = train.get("keep_best"), train.get("evaluate")
        if train.get("patience") not in (None, MISSING) and best is None:
            self.checker.report((*path, "patience"), "it counts comparisons for train.keep_best, which is not set")
        if not isinstance(evaluate, EvaluateOptions):
            return
        known = self.checker.registry.names(kinds.METRIC)
        for index, name in enumerate(evaluate.metrics):
            if name not in known:
                message = f"no metric {name!r}.{did_you_mean(name, known)} There are: {', '.join(known)}"
                self.checker.report((*path, "evaluate", "metrics", index), message)
        between = train.get("checkpoint_every", TrainOptions.checkpoint_every)
        if best in known and evaluate.every is not None and isinstance(between, int) and evaluate.every % between:
            self.checker.report(
                (*path, "evaluate", "every"),
                f"keep_best = {best!r} needs a checkpoint at each evaluation; give a multiple of checkpoint_every, "
                f"{between}",
            )

    def _check_streams(self, data: Factory[Any] | None, translator: Factory[Any] | None) -> None:
        """Report the streams that the translator needs and the data does not have."""
        if data is None or translator is None or not self.streams:
            return
        for name, role in getattr(translator.component, "required_streams", {}).items():
            stream = self.streams.get(name)
            if stream is None or stream.role != role:
                has = ", ".join(f"{other} ({spec.role})" for other, spec in self.streams.items())
                needs = f"translator {translator.name!r} needs the stream {name!r} ({role})"
                self.checker.report(self._path("data"), f"{needs}, and dataset {data.name!r} has {has}")
        options = declared_values(data.component, data.options)
        paired = options.get("paired", getattr(data.component, "paired", None))
        if getattr(translator.component, "requires_pairs", False) and paired is False:
            needs = f"translator {translator.name!r} needs images of the same in both domains"
            fix = "set type = 'paired'" if "paired" not in options else "set paired = true"
            self.checker.report(self._path("data"), f"{needs}, and dataset {data.name!r} has unpaired ones; {fix}")

    def _tables(self, name: str, example: str) -> dict[str, Any] | None:
        value = self._value(name)
        if isinstance(value, dict):
            return value
        self.checker.report(self._path(name), f"expected a table for each, {example}, got {shown(value)}")
        return None
