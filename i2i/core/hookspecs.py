"""The hooks that i2i calls; a plugin implements those it needs with `@i2i.hookimpl`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    from torch import Tensor

    from i2i.core.contracts import Run
    from i2i.core.registry import PluginRegistry

hookspec = pluggy.HookspecMarker("i2i")
hookimpl = pluggy.HookimplMarker("i2i")


@hookspec
def register_components(registry: PluginRegistry) -> None:
    """Adds components, and kinds of components.

    `registry.add(i2i.NORM, "pono", "i2i_pono.norm:PONO")` adds a component, and `registry.add_kind(MAPPING)` a kind.
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """Adds commands to `i2i`."""


@hookspec
def recipe_folders() -> Path:  # type: ignore[empty-body]  # a specification has no body
    """A folder of recipes that can be named without their path."""


@hookspec
def training_started(run: Run) -> None:
    """Before the first step, everything built and loaded."""


@hookspec
def step_finished(run: Run, terms: Mapping[str, Tensor]) -> None:
    """After each step; `terms` are the weighted loss terms, `phase/name`, still on the device.

    Of several processes, each gives its own, and at the steps that `train.log_every` logs the mean over all of them.
    """


@hookspec
def images_sampled(run: Run, images: Mapping[str, Tensor]) -> None:
    """Rows of preview images [n, 3, H, W] in [-1, 1], by caption `row · domain`."""


@hookspec
def evaluate_checkpoint(run: Run) -> None:
    """At steps that `train.evaluate` or `train.keep_best` asks for: measure, and put the figures into `run.metrics`."""


@hookspec
def evaluation_finished(run: Run, seconds: float) -> None:
    """After all implementations of `evaluate_checkpoint`, with the time that they took; `run.metrics` is complete."""


@hookspec
def checkpoint_saved(run: Run, folder: Path) -> None:
    """Called after a checkpoint is complete under its final name."""


@hookspec
def training_finished(run: Run) -> None:
    """Called after the last step, or after a requested stop; the last checkpoint is complete."""
