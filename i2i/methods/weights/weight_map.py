"""One map for all official checkpoints: rename tensors by a table, check their shapes, report what was done.

A format is a table for each network: `official prefix: our submodule`. Everything else lives here, so that all formats
treat DataParallel's prefixes, wrapped state dicts, spectral norm and missing discriminators alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError, I2IError
from i2i.methods.assembly import shapes_of
from i2i.nn.weight_files import few, is_state, load_weight_file
from i2i.recipe.recipe import Recipe

State = Mapping[str, Tensor]
Options = dict[str, Any]
Layers = dict[str, str]
"""Official prefix of names: ours. The longest prefix of a name counts; a whole name is one too."""

SPECTRAL = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}
"""Spectral norm's tensors as torch.nn.utils.spectral_norm names them, and as we do."""
PARAMETRIZED = {"original": "weight_orig", "0._u": "weight_u", "0._v": "weight_v"}
"""The same as torch.nn.utils.parametrizations.spectral_norm names them, after `parametrizations.weight.`."""
UNUSED = ("running_mean", "running_var", "num_batches_tracked", "total_ops", "total_params")
"""Last parts of names that may be ignored: statistics of norms that use none, and a profiler's counters."""
CONSTANT = ".kernel"
"""How a table marks what the official code stores and we compute, such as a blur's filter."""
WRAPPERS = ("state_dict", "model_state_dict", "model", "params_ema", "params", "weights", "net", "network", "networks")
"""Keys under which programs wrap what they save."""


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


@dataclass
class Report:
    """What was done to a checkpoint on its way into a run, one line each."""

    lines: list[str] = field(default_factory=list)
    prefixes: Counter[str] = field(default_factory=Counter)
    spectral: int = 0
    ignored: list[str] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)

    def notes(self, scratch: Iterable[str] = ()) -> tuple[str, ...]:
        """All lines.

        Args:
            scratch: networks that start from scratch.
        """
        lines = [f"took {sum(self.taken.values())} tensors of {', '.join(self.taken)}", *self.lines]
        lines += [f"removed the prefix {prefix!r} from {count} names" for prefix, count in self.prefixes.items()]
        if self.spectral:
            lines.append(f"renamed {self.spectral} tensors of torch's newer spectral norm, such as weight.original")
        if self.ignored:
            lines.append(f"ignored {len(self.ignored)} tensors that i2i does not need: {few(self.ignored)}")
        lines += [f"{network} starts from scratch: the checkpoint has no weights for it" for network in scratch]
        return (*lines, "optimizers start from scratch")


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


def networks_in(
    path: Path, wanted: Iterable[str], report: Report, method: str, required: Iterable[str] = (), used: str = ""
) -> tuple[dict[str, State], Mapping[Any, Any]]:
    """Networks in one file, and whatever else lies beside them in it.

    Understood are a mapping from names to state dicts, with or without `net` before each name, the same as one flat
    state dict whose names begin with the network's, and either within a wrapper such as `state_dict`.

    Args:
        method: for messages.
        required: names of the networks that must be there.
        used: key of another entry that the caller reads; all others are reported as ignored.

    Raises:
        CheckpointError: none of them is there, or a required one is not.
    """
    names = list(wanted)
    content = _unwrapped(load_weight_file(path), names, report)
    expected = f"{path}: expected {method}'s networks {', '.join(names)}"
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{expected}, found a {type(content).__name__}")
    if is_state(content):
        states = _grouped(content, names)
        if not states:
            raise CheckpointError(f"{expected}, found the plain state of one network: {few(content)}")
    else:
        states = {name: content[key] for key in content if (name := str(key).removeprefix("net")) in names}
        for name, state in states.items():
            if not is_state(state):
                raise CheckpointError(f"{path}: expected {name} to be a state dict, found a {type(state).__name__}")
        others = [key for key in content if key != used and str(key).removeprefix("net") not in names]
        if others and states:
            report.lines.append(f"ignored {few(others)}")
    if not states or not states.keys() >= set(required):
        lacking = [name for name in required or names if name not in states]
        raise CheckpointError(f"{expected}, found {few(content)}; missing: {', '.join(lacking)}")
    return {name: _cleaned(path, state, report) for name, state in states.items()}, content


def network_in(path: Path, report: Report, aliases: Iterable[str], what: str) -> State:
    """The one network of a file, or the one that the file calls by one of `aliases`.

    Args:
        what: is expected, for messages.

    Raises:
        CheckpointError: there is no state dict.
    """
    names = list(aliases)
    content = _unwrapped(load_weight_file(path), [], report, names)
    if not is_state(content):
        found = few(content) if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise CheckpointError(f"{path}: expected the state dict of {what}, found {found}")
    assert isinstance(content, Mapping)
    grouped = _grouped(content, names)
    if grouped:
        name = next(name for name in names if name in grouped)
        report.lines.append(f"took the names that begin with {name!r}")
        content = grouped[name]
    return _cleaned(path, content, report)


def _unwrapped(content: object, wanted: Iterable[str], report: Report, aliases: Iterable[str] = ()) -> object:
    """What a program wrapped in `{"state_dict": ...}` and the like."""
    names = {*wanted, *(f"net{name}" for name in wanted)}
    while isinstance(content, Mapping) and not is_state(content) and not names & set(map(str, content)):
        key = next((key for key in (*WRAPPERS, *aliases) if isinstance(content.get(key), Mapping)), None)
        if key is None:
            break
        others = few(other for other in content if other != key)
        report.lines.append(f"took the entry {key!r}" + (f", ignored {others}" if len(content) > 1 else ""))
        content = content[key]
    return content


def _grouped(state: State, names: Iterable[str]) -> dict[str, State]:
    """The networks of one flat state dict whose names begin with theirs."""
    pattern = re.compile(rf"(?:(?:module|_orig_mod)\.)*(?:net)?({'|'.join(map(re.escape, names))})[./](.+)")
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if match := pattern.fullmatch(str(name)):
            found.setdefault(match[1], {})[match[2]] = tensor
    return dict(found)


def _cleaned(path: Path, state: State, report: Report) -> State:
    """The same without the prefixes of DataParallel and torch.compile, and with one spelling of spectral norm."""
    clean: dict[str, Tensor] = {}
    for original, tensor in state.items():
        name = str(original)
        for prefix in ("module.", "_orig_mod."):
            shorter = re.sub(rf"(^|\.){re.escape(prefix)}", r"\1", name)
            report.prefixes[prefix] += shorter != name
            name = shorter
        layer, found, part = name.partition("parametrizations.weight.")
        if found and part in PARAMETRIZED:
            name = layer + PARAMETRIZED[part]
            report.spectral += 1
        if name in clean:
            raise CheckpointError(f"{path}: two tensors are called {name} once prefixes are removed")
        clean[name] = tensor
    report.prefixes = +report.prefixes  # without those that did not occur
    return clean


def epoch_files(folder: Path, networks: Iterable[str]) -> dict[str, Path]:
    """Files `<epoch>_net_<network>.pth` of a folder by network: of `latest`, or else of the highest epoch or step.

    Raises:
        CheckpointError: there is none.
    """
    wanted = list(networks)
    epochs: dict[tuple[int, int], dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        match = re.fullmatch(r"(latest|(?:iter_)?\d+)_net_(\w+)\.(?:pth|pt|safetensors)", file.name)
        if match and match[2] in wanted:
            rank = (2, 0) if match[1] == "latest" else ("iter" not in match[1], int(match[1].removeprefix("iter_")))
            epochs.setdefault(rank, {})[match[2]] = file
    if not epochs:
        expected = ", ".join(f"latest_net_{name}.pth" for name in wanted)
        raise CheckpointError(f"{folder}: expected {expected}, found {few(file.name for file in folder.iterdir())}")
    return epochs[max(epochs)]


def newest(folder: Path, pattern: str) -> Path:
    """The file of a folder whose name matches and ends in the highest number before its suffix; `latest` is higher.

    Raises:
        CheckpointError: there is none.
    """
    found = [file for file in folder.iterdir() if re.fullmatch(pattern, file.name)]
    if not found:
        raise CheckpointError(
            f"{folder}: expected a file {pattern}, found {few(file.name for file in folder.iterdir())}"
        )
    return max(found, key=lambda file: (file.stem.endswith("latest"), step_of(file), file.name))


def step_of(file: Path) -> int:
    """The number at the end of a file's name, 0 where there is none."""
    match = re.search(r"(\d+)$", file.stem)
    return int(match[1]) if match else 0


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
