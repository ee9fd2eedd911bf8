"""A recipe: components chosen, wired and checked, ready to build."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field

from i2i import kinds
from i2i.contracts import Dataset, Optimizer, Schedule, Translator
from i2i.errors import I2IError, RegistryError
from i2i.factory import Factory, plain
from i2i.plugins import default_plugins
from i2i.recipe.check import Checker
from i2i.recipe.source import RecipeError, Source, read
from i2i.recipe.wiring import LossPlan, Wirer, Wiring
from i2i.registry import Registry, did_you_mean
from i2i.signature import options

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class TrainOptions:
    """The table `[train]`.

    Args:
        steps: how many steps in all.
        batch_size: images of each domain per step, process and micro-batch.
        accumulate: micro-batches whose gradients are summed before a step.
        precision: of the computation; weights stay float32 (float64 with `fp64`).
        seed: of everything that is drawn: weights, pairing, augmentation, latent codes.
        clip_grad_norm: largest norm of a phase's gradients.
        ema: decay per step of the averaged weights that `translate` then uses, such as 0.999.
        checkpoint_every: steps between checkpoints.
        keep_last: checkpoints that are kept.
        sample_every: steps between sample grids; 0 for none.
        sample_count: pictures of each domain in a sample grid.
        log_every: steps between log lines.
        workers: processes that read pictures; 0 reads in the training process.
        trackers: Accelerate's trackers to report to, such as `tensorboard`.
    """

    steps: Positive
    batch_size: Positive = 1
    accumulate: Positive = 1
    precision: Literal["fp32", "bf16", "fp16", "fp64"] = "fp32"
    seed: Count = 0
    clip_grad_norm: Annotated[float, Field(gt=0)] | None = None
    ema: Fraction | None = None
    checkpoint_every: Positive = 1000
    keep_last: Positive = 3
    sample_every: Count = 500
    sample_count: Positive = 4
    log_every: Positive = 10
    workers: Count = 2
    trackers: tuple[Literal["tensorboard", "wandb", "trackio", "aim", "mlflow"], ...] = ()


TABLES = ("translator", "losses", "optimizers", "schedule", "data", "train")


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Args:
        name: the recipe's file name without its suffix.
        translator: builds the translator.
        losses: losses by the recipe's own names.
        optimizers: one for each phase.
        schedule: builds the learning rate's schedule.
        data: builds the training data.
        train: the table `[train]`.
    """

    name: str
    translator: Factory[Translator]
    losses: Mapping[str, LossPlan]
    optimizers: Mapping[str, Factory[Optimizer]]
    schedule: Factory[Schedule]
    data: Factory[Dataset]
    train: TrainOptions

    @classmethod
    def read(
        cls, recipe: str | Path, settings: Iterable[str] | Mapping[str, Any] = (), registry: Registry | None = None
    ) -> Recipe:
        """Reads and checks a recipe.

        Args:
            recipe: a file, or the name of a shipped recipe.
            settings: `key=value` each, as `--set` takes them, or a mapping from key paths to values.

        Raises:
            RecipeError: everything that is wrong with it.
        """
        lines = [to_setting(*pair) for pair in settings.items()] if isinstance(settings, Mapping) else settings
        source = read(recipe, lines, default_plugins().recipe_folders())
        return cls.check(source, registry or default_plugins().registry)

    @classmethod
    def check(cls, source: Source, registry: Registry) -> Recipe:
        """Checks what was read.

        Raises:
            RecipeError: everything that is wrong with it.
        """
        return _Reader(source, registry).recipe()

    @property
    def image_size(self) -> int:
        """Side of the training images in pixels."""
        return image_size(self.data)

    def resolved(self) -> dict[str, Any]:
        """Every table with every option spelled out, so that a later change of a default changes no old run."""
        return {
            "translator": self.translator.resolved(),
            "losses": {name: plan.resolved() for name, plan in self.losses.items()},
            "optimizers": {phase: factory.resolved() for phase, factory in self.optimizers.items()},
            "schedule": self.schedule.resolved(),
            "data": self.data.resolved(),
            "train": plain(dataclasses.asdict(self.train)),
        }

    def to_toml(self) -> str:
        return tomli_w.dumps(self.resolved())


def image_size(data: Factory[Any]) -> int:
    """The data's `size`, set or default."""
    size: int = data.options.get("size", options(data.component)["size"].default)
    return size


class _Reader:
    """Reads the tables in the order in which they need each other."""

    def __init__(self, source: Source, registry: Registry) -> None:
        self.source = source
        self.checker = Checker(source, registry)

    def recipe(self) -> Recipe:
        self._unknown_tables()
        data = self._component("data", kinds.DATASET, default="folders")
        if data is not None:
            self.checker.offered["image_size"] = _size_or_none(data)
        translator = self._component("translator", kinds.TRANSLATOR)
        losses = self._losses(translator)
        optimizers = self._optimizers(translator)
        schedule = self._component("schedule", kinds.SCHEDULE, default="constant", optional=True)
        train = self.checker.table(self.source.values.get("train", {}), TrainOptions, ("train",))
        if self.checker.problems:
            raise RecipeError(self.checker.problems)
        assert data is not None and translator is not None and schedule is not None
        return Recipe(self.source.name, translator, losses, optimizers, schedule, data, TrainOptions(**train))

    def _unknown_tables(self) -> None:
        for key in self.source.values:
            if key not in TABLES:
                self.checker.report((key,), f"no such table.{did_you_mean(key, TABLES)} Tables: {', '.join(TABLES)}")

    def _component(
        self, table: str, kind: kinds.Kind[Any], default: str | None = None, optional: bool = False
    ) -> Factory[Any] | None:
        value = self.source.values.get(table, {})
        if table not in self.source.values and not optional:
            self.checker.report((), f"the table [{table}] is missing")
            return None
        return self.checker.component(value, [kind], (table,), default)

    def _losses(self, translator: Factory[Any] | None) -> dict[str, LossPlan]:
        tables = self.source.values.get("losses", {})
        if not isinstance(tables, dict):
            self.checker.report(("losses",), f"expected a table of losses, got {tables!r}")
            return {}
        wirer = Wirer(translator.component) if translator else None
        plans = {}
        for name, value in tables.items():
            plan = self._loss(name, value, wirer)
            if plan is not None:
                plans[name] = plan
        complete = len(plans) == len(tables)  # a loss with a mistake of its own may be the one that a phase lacks
        for phase in wirer.phases if wirer and complete else ():
            if not any(call.phase == phase for plan in plans.values() for call in plan.calls):
                self.checker.report(("losses",), f"no loss plays in the phase {phase!r}: it would train nothing")
        return plans

    def _loss(self, name: str, value: Any, wirer: Wirer | None) -> LossPlan | None:
        path = ("losses", name)
        table = {"type": value} if isinstance(value, str) else value
        if not isinstance(table, dict):
            self.checker.report(path, f"expected a loss's name or a table with type = ..., got {value!r}")
            return None
        before = len(self.checker.problems)
        extra = options(Wiring)
        common = {key: item for key, item in table.items() if key in extra}
        wiring = self.checker.options(common, extra, path, of="a loss")
        factory = self.checker.component(table, [kinds.LOSS], path, common=tuple(extra))
        if factory is None or wirer is None or len(self.checker.problems) > before:
            return None
        wired = Wiring(**wiring)

        def report(below: tuple[str, ...], message: str) -> None:
            self.checker.report((*path, *below), message)

        calls = wirer.wire(factory, wired, report)
        return LossPlan(factory, wired, calls) if len(self.checker.problems) == before else None

    def _optimizers(self, translator: Factory[Any] | None) -> dict[str, Factory[Any]]:
        tables = self.source.values.get("optimizers", {})
        if not isinstance(tables, dict):
            self.checker.report(("optimizers",), f"expected a table for each phase, got {tables!r}")
            return {}
        found = {
            phase: self.checker.component(value, [kinds.OPTIMIZER], ("optimizers", phase))
            for phase, value in tables.items()
        }
        phases = list(translator.component.phases) if translator else list(tables)
        for phase in tables:
            if phase not in phases:
                near = did_you_mean(phase, phases)
                self.checker.report(("optimizers", phase), f"no phase {phase!r}.{near} Phases: {', '.join(phases)}")
        for phase in phases:
            if phase not in tables:
                self.checker.report(("optimizers",), f"the phase {phase!r} has no optimizer: add [optimizers.{phase}]")
        return {phase: factory for phase, factory in found.items() if factory is not None}


def _size_or_none(data: Factory[Any]) -> int | None:
    try:
        size = image_size(data)
    except (I2IError, KeyError):
        return None
    return size if isinstance(size, int) else None


def to_setting(key: str, value: Any) -> str:
    """`key=value` as `--set` takes it."""
    return f"{key}={_inline(plain(value))}"


def _inline(value: Any) -> str:
    """A value as it stands after the equals sign of a TOML line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f'"{key}" = {_inline(item)}' for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip("\n")
