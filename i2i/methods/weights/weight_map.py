"""One map for all official checkpoints: rename tensors by a table, check their shapes, report what was done.

A format is a table for each network: `official prefix: our submodule`. Everything else lives here, so that all formats
treat DataParallel's prefixes, wrapped state dicts, spectral norm and missing discriminators alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError, I2IError
from i2i.methods.assembly import shapes_of
from i2i.methods.weights.official_files import Report
from i2i.nn.weight_files import few
from i2i.recipe.recipe import Recipe

State = Mapping[str, Tensor]
Options = dict[str, Any]
Layers = dict[str, str]
"""Official prefix of names: ours. The longest prefix of a name counts; a whole name is one too."""

SPECTRAL = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}
"""Spectral norm's tensors as torch.nn.utils.spectral_norm names them, and as we do."""
UNUSED = ("running_mean", "running_var", "num_batches_tracked", "total_ops", "total_params")
"""Last parts of names that may be ignored: statistics of norms that use none, and a profiler's counters."""
CONSTANT = ".kernel"
"""How a table marks what the official code stores and we compute, such as a blur's filter."""


@dataclass(frozen=True)
class Network:
    """One network of an official checkpoint.

    Args:
        ours: submodule of the translator that takes its weights, such as `generators.b`.
        setting: the recipe's table with its options, such as `translator.generator`. Networks of one table must have
            equal options.
        layers: the table of names, given the network's state dict (in official or our names) and its `traces`.
        options: options of our component, given the state dict in our names and the `traces`.
        traces: options that only the official names show, such as dropout, which shifts the numbers of the layers after
            it; given the state dict in official names.
        views: last part of a name: the shape in which the official code holds what we hold without its axes of length
            1, such as `{"rho": (1, -1, 1, 1)}`.
        required: whether a checkpoint without it is refused. Otherwise the network starts from scratch.
        constants: tensors that the official code stores and we compute, by official name, given the state dict in our
            names and the table. A checkpoint's must be equal.
    """

    ours: str
    setting: str
    layers: Callable[[State, Options], Layers]
    options: Callable[[State, Options], Options]
    traces: Callable[[State], Options] = lambda state: {}
    views: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    required: bool = False
    constants: Callable[[State, Layers], Mapping[str, Tensor]] = lambda ours, table: {}

    def names(self, state: State) -> dict[str, str | None]:
        """Each official name of a state dict with ours; None where the table has no entry."""
        table = self.layers(state, self.traces(state))
        found = {}
        for name in state:
            layer, dot, part = name.rpartition(".")
            found[name] = _renamed(layer + dot + SPECTRAL.get(part, part), table)
        return found

    def convert(self, state: State) -> dict[str, Tensor]:
        """An official state dict, or other tensors by the same names, in our names and shapes."""
        return {
            ours: self._flat(name, state[name])
            for name, ours in self.names(state).items()
            if ours is not None and not ours.endswith(CONSTANT)
        }

    def export(self, state: State, options: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """Our state dict in official names and shapes; the inverse of `convert`, to the bit.

        Args:
            options: of our component; needed where `traces` has some.
        """
        table = self.layers(state, dict(options or {}))
        names = self._official_names(state, table)
        return {
            **{official: state[ours].view(self._view(official, state[ours].shape)) for ours, official in names.items()},
            **self.constants(state, table),
        }

    def checked(
        self, name: str, state: State, shapes: Mapping[str, tuple[int, ...]], report: Report
    ) -> dict[str, Tensor]:
        """Our state dict, once every tensor is known to fit.

        Args:
            name: of the network, for messages.
            shapes: of our network, by name.

        Raises:
            CheckpointError: names that are missing or unknown, or a tensor of another shape.
        """
        table = self.layers(state, self.traces(state))
        taken: dict[str, Tensor] = {}
        unknown = []
        for official, ours in self.names(state).items():
            if ours is not None and ours in shapes:
                expected, found = list(self._view(official, shapes[ours])), list(state[official].shape)
                if expected != found:
                    raise CheckpointError(f"{name}.{official} has shape {found}; the other weights ask for {expected}")
                taken[ours] = self._flat(official, state[official])
            elif official.rpartition(".")[2] in UNUSED:
                report.ignored.append(f"{name}.{official}")
            else:
                unknown.append(official)
        if missing := [ours for ours in shapes if ours not in taken]:
            official_names = self._official_names(shapes, table)
            raise CheckpointError(f"{name} lacks {few(official_names.get(ours, ours) for ours in missing)}")
        constants = self.constants(taken, table)
        for official in unknown:
            if official not in constants:
                raise CheckpointError(f"{name} has unknown {few(set(unknown) - constants.keys())}")
            if not torch.equal(state[official], constants[official].to(state[official].dtype)):
                raise CheckpointError(f"{name}.{official} differs from the constant in the official code")
            report.ignored.append(f"{name}.{official}")
        report.taken[name] = len(taken)
        return taken

    def _official_names(self, ours: Iterable[str], layers: Layers) -> dict[str, str]:
        """Our names with the official ones."""
        inverse = {mine: official for official, mine in layers.items()}
        spectral = {mine: official for official, mine in SPECTRAL.items()}
        names = dict.fromkeys(ours)
        found = {}
        for name in names:
            official = _renamed(name, inverse)
            if official is not None:
                layer, _, part = official.rpartition(".")
                normalized = f"{name.rpartition('.')[0]}.u" in names
                found[name] = f"{layer}.{spectral.get(part, part)}" if normalized else official
        return found

    def _view(self, official: str, shape: Iterable[int]) -> tuple[int, ...]:
        """The official shape of what has this shape here."""
        sizes = iter(shape)
        view = self.views.get(official.rpartition(".")[2])
        return tuple(sizes) if view is None else tuple(1 if size == 1 else next(sizes, 0) for size in view)

    def _flat(self, official: str, tensor: Tensor) -> Tensor:
        view = self.views.get(official.rpartition(".")[2])
        if view is None or tensor.ndim != len(view):
            return tensor
        return tensor.reshape([size for size, fixed in zip(tensor.shape, view, strict=True) if fixed != 1])


@dataclass(frozen=True)
class Format:
    """A kind of official checkpoint.

    Args:
        method: its name, for messages.
        recipe: name of the recipe that a checkpoint becomes.
        networks: by official name, such as `genA2B`.
        untrained: submodules of the translator that no such checkpoint has weights for; they start from scratch.
    """

    method: str
    recipe: str
    networks: Mapping[str, Network]
    untrained: tuple[str, ...] = ()

    def convert(self, states: Mapping[str, State]) -> dict[str, Tensor]:
        """Official state dicts by network as the translator's state dict; no shape is checked."""
        return {
            f"{self.networks[name].ours}.{ours}": tensor
            for name, state in states.items()
            for ours, tensor in self.networks[name].convert(state).items()
        }

    def names(self, states: Mapping[str, State]) -> dict[str, str]:
        """The translator's name of each official tensor, which is called `network/name` here."""
        return {
            f"{name}/{official}": f"{self.networks[name].ours}.{ours}"
            for name, state in states.items()
            for official, ours in self.networks[name].names(state).items()
            if ours is not None and not ours.endswith(CONSTANT)
        }

    def export(self, weights: State, settings: Mapping[str, Any] | None = None) -> dict[str, dict[str, Tensor]]:
        """The translator's state dict as official state dicts by network; the inverse of `convert`, to the bit.

        Args:
            settings: of the recipe, by key path; needed where the names depend on options that leave no trace in the
                weights, such as the dropout of a ResNet generator.
        """
        states = {}
        for name, network in self.networks.items():
            prefix, table = f"{network.ours}.", f"{network.setting}."
            state = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
            options = {
                key.removeprefix(table): value for key, value in (settings or {}).items() if key.startswith(table)
            }
            if state:
                states[name] = network.export(state, options)
        return states

    def read(
        self,
        path: Path,
        states: Mapping[str, State],
        report: Report,
        more: Callable[[Options, Mapping[str, State]], Options] = lambda settings, ours: {},
        step: int = 0,
    ) -> Imported:
        """Official state dicts as a checkpoint of our own.

        Args:
            path: for messages.
            states: by network, as `networks_in` finds them.
            report: of what was done to them so far.
            more: settings beyond the options of the networks, given those and the state dicts in our names.
            step: number of training steps that the weights have seen, as far as the checkpoint tells.

        Raises:
            CheckpointError: a network is missing, or the weights do not fit together.
        """
        states = {name: states[name] for name in self.networks if name in states}
        try:
            settings, found = self._settings(states)
            settings |= more(settings, found)
            try:
                shapes = shapes_of(Recipe.read(self.recipe, settings), losses=False)
            except I2IError as error:
                raise CheckpointError(f"the shapes of its weights give no valid recipe: {error}") from error
            weights: dict[str, Tensor] = {}
            for name, state in states.items():
                prefix = f"{self.networks[name].ours}."
                mine = {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
                taken = self.networks[name].checked(name, state, mine, report)
                weights |= {prefix + key: tensor for key, tensor in taken.items()}
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        missing = tuple(network.ours for name, network in self.networks.items() if name not in states)
        scratch = missing + self.untrained
        return Imported(self.recipe, settings, weights, self._summary(settings), step, scratch, report.notes(scratch))

    def _settings(self, states: Mapping[str, State]) -> tuple[Options, dict[str, State]]:
        """The recipe's settings that the shapes give, and the state dicts in our names."""
        if missing := [name for name, network in self.networks.items() if network.required and name not in states]:
            raise CheckpointError(
                f"expected {self.method}'s networks {', '.join(self.networks)}; missing: {', '.join(missing)}"
            )
        settings: Options = {}
        ours: dict[str, State] = {}
        tables: dict[str, tuple[str, Options]] = {}
        for name, state in states.items():
            network = self.networks[name]
            ours[name] = network.convert(state)
            try:
                options = network.options(ours[name], network.traces(state))
            except KeyError as error:
                names = network._official_names([error.args[0]], network.layers(state, network.traces(state)))
                lacking = names.get(error.args[0], error.args[0])
                raise CheckpointError(f"{name} lacks {lacking}; it has {few(state)}") from error
            twin, expected = tables.setdefault(network.setting, (name, options))
            if options != expected:
                differing = [key for key in {**expected, **options} if expected.get(key) != options.get(key)]
                raise CheckpointError(
                    f"{name} and {twin} must have equal sizes; found "
                    + ", ".join(f"{key} = {options.get(key)} and {expected.get(key)}" for key in differing)
                )
            settings |= {f"{network.setting}.{key}": value for key, value in options.items()}
        return settings, ours

    def _summary(self, settings: Options) -> str:
        tables: dict[str, list[str]] = {}
        for key, value in settings.items():
            table, _, option = key.removeprefix("translator.").rpartition(".")
            tables.setdefault(table or "translator", []).append(f"{option} = {value}")
        sizes = "; ".join(f"{table}: {', '.join(options)}" for table, options in tables.items())
        return f"{self.method}, recipe {self.recipe}; {sizes}"


def count(state: Iterable[str], official: str, ours: str) -> int:
    """How many names one of two patterns matches, one for each naming."""
    pattern = re.compile(rf"{official}|{ours}")
    return sum(pattern.fullmatch(str(name)) is not None for name in state)


def layers_and_norms(*pairs: tuple[str, int, str]) -> Layers:
    """A table of convolutions that are each followed by their norm: `(official parent, number, our block)`."""
    table: Layers = {}
    for parent, number, block in pairs:
        table |= {f"{parent}{number}": f"{block}.conv", f"{parent}{number + 1}": f"{block}.norm"}
    return table


def _renamed(name: str, table: Mapping[str, str]) -> str | None:
    prefix = name
    while prefix not in table:
        prefix, dot, _ = prefix.rpartition(".")
        if not dot:
            return None
    return table[prefix] + name[len(prefix) :]
