"""Official checkpoints as files: find them, unwrap what is in them, and bring their names into one form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.errors import CheckpointError
from i2i.nn.weight_files import few, is_state, load_weight_file

State = Mapping[str, Tensor]

PARAMETRIZED = {"original": "weight_orig", "0._u": "weight_u", "0._v": "weight_v"}
"""The same as torch.nn.utils.parametrizations.spectral_norm names them, after `parametrizations.weight.`."""
WRAPPERS = ("state_dict", "model_state_dict", "model", "params_ema", "params", "weights", "net", "network", "networks")
"""Keys under which programs wrap what they save."""


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


def networks_in(
    path: Path, wanted: Iterable[str], report: Report, method: str, required: Iterable[str] = (), used: str = ""
) -> tuple[dict[str, State], Mapping[Any, Any]]:
    """Networks in one file, and the other entries of the file.

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
