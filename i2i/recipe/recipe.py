"""A recipe: components chosen, wired and checked, ready to build."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from i2i.core.contracts import Dataset, Schedule, Stream, Translator
from i2i.core.factory import Factory, plain
from i2i.core.plugins import default_plugins
from i2i.core.registry import Registry
from i2i.core.signature import declared_values
from i2i.recipe.files import read
from i2i.recipe.reader import Reader
from i2i.recipe.source import Source
from i2i.recipe.tables import OptimizerPlan, TrainOptions
from i2i.recipe.wiring import LossPlan
from i2i.recipe.writing import inline


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
        source: what was read, so that later problems find their line too.
    """

    name: str
    translator: Factory[Translator]
    losses: Mapping[str, LossPlan]
    optimizers: Mapping[str, OptimizerPlan]
    schedule: Factory[Schedule]
    data: Factory[Dataset]
    train: TrainOptions
    source: Source = field(compare=False, repr=False)

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
        return cls(name=source.name, source=source, **Reader(source, registry).parts())

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the training images in pixels: the size of the data's first image stream."""
        sizes = [stream.size for stream in self.streams.values() if stream.role == "image" and stream.size is not None]
        return sizes[0]

    @property
    def streams(self) -> Mapping[str, Stream]:
        """Specification of each stream of the data, by name, from the recipe alone: no file is opened."""
        component = self.data.component
        streams: Mapping[str, Stream] = component.declare_streams(declared_values(component, self.data.options))
        return streams

    @property
    def weight_schedules(self) -> list[str]:
        """Loss weights that change with the step, a sentence each; it says so where the run ends before the change."""
        notes: dict[str, None] = {}
        for name, plan in self.losses.items():
            for call in plan.calls:
                for domain, schedule in call.weight.schedules.items():
                    of = f" of {domain}" if domain else ""
                    cut = f"; the run ends before, at {schedule.at(self.train.steps):g}"
                    notes[f"losses.{name}: weight{of} {schedule}{cut if schedule.over > self.train.steps else ''}"] = (
                        None
                    )
        return list(notes)

    def resolved(self) -> dict[str, Any]:
        """Every table with every option spelled out, so that a later change of a default changes no old run."""
        return {
            "translator": self.translator.resolved(),
            "losses": {name: plan.resolved() for name, plan in self.losses.items()},
            "optimizers": {phase: plan.resolved() for phase, plan in self.optimizers.items()},
            "schedule": self.schedule.resolved(),
            "data": self.data.resolved(),
            "train": {name: plain(_without_none(value)) for name, value in dataclasses.asdict(self.train).items()},
        }

    def to_toml(self) -> str:
        return tomli_w.dumps(self.resolved())


def _without_none(value: Any) -> Any:
    """A table without the options that are none, which is their default there."""
    return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


def to_setting(key: str, value: Any) -> str:
    """`key=value` as `--set` takes it."""
    return f"{key}={inline(plain(value))}"
