"""Reading the plain state dicts of junyanz/pytorch-CycleGAN-and-pix2pix, one file for each network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from i2i.core.kinds import DISCRIMINATOR, GENERATOR, NORM
from i2i.errors import CheckpointError
from i2i.methods.weights import official_layers
from i2i.methods.weights.official_layers import Layers, Options, State
from i2i.nn.foreign import few, load

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Network(NamedTuple):
    """One official network, understood.

    Args:
        options: `type` and options of our component.
        state: our state dict.
        dropped: official names that have no place in it.
    """

    options: Options
    state: dict[str, Tensor]
    dropped: tuple[str, ...]

    def settings(self, key: str) -> dict[str, Any]:
        """What a recipe must be set to, its `type` first."""
        return {f"{key}.{name}": value for name, value in self.options.items()}


def read(path: Path, part: str) -> Network:
    """One file.

    Args:
        part: `generator` or `discriminator`.

    Raises:
        CheckpointError: it is no state dict of such a network; says what was found.
    """
    state = _load(path)
    try:
        return convert(state, part)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def convert(state: State, part: str) -> Network:
    """An official state dict as ours; see `read`."""
    find = official_layers.generator if part == "generator" else official_layers.discriminator
    state = official_layers.renamed(state)
    options, layers = find(state)
    expected = _expected(options, part)
    ours: dict[str, Tensor] = {}
    dropped: list[str] = []
    for official, tensor in state.items():
        layer, _, leaf = official.rpartition(".")
        name = f"{layers.get(layer)}.{leaf}"
        if name in expected:
            if expected[name].shape != tensor.shape:
                wanted, got = list(expected[name].shape), list(tensor.shape)
                raise CheckpointError(f"{official} has shape {got}; the other weights ask for {wanted}")
            ours[name] = tensor
        elif layer in layers and leaf in _STATISTICS:
            dropped.append(official)  # the code before 2018 kept them for instance norm, which does not use them
        else:
            raise CheckpointError(f"unknown {official} in a {part} of type {options['type']}")
    if missing := expected.keys() - ours.keys():
        raise CheckpointError(f"lacks {few(_official_names(missing, layers))}, which a {options['type']} has")
    return Network(options, ours, tuple(dropped))


def export(options: Mapping[str, Any], weights: State) -> dict[str, Tensor]:
    """Our state dict of one network under the official names; undoes `convert` to the bit."""
    names = _official_names(weights, official_layers.layers_of(options))
    return dict(zip(names, weights.values(), strict=True))


def files_of(folder: Path, networks: Iterable[str]) -> dict[str, Path]:
    """Files `<epoch>_net_<network>.pth` of a folder, by network: of `latest`, or else of the highest epoch.

    Raises:
        CheckpointError: there is none.
    """
    wanted = list(networks)
    epochs: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        match = re.fullmatch(r"(latest|\d+)_net_(\w+)\.pth", file.name)
        if match and match[2] in wanted:
            epochs.setdefault(match[1], {})[match[2]] = file
    if not epochs:
        expected = ", ".join(f"latest_net_{name}.pth" for name in wanted)
        raise CheckpointError(f"{folder}: expected {expected}, found {few(file.name for file in folder.iterdir())}")
    return epochs["latest" if "latest" in epochs else max(epochs, key=int)]


def dropped_note(networks: Mapping[str, Network]) -> str:
    """What the summary says of tensors that were left out; nothing where none was."""
    names = [f"{network}.{name}" for network, found in networks.items() for name in found.dropped]
    if not names:
        return ""
    return f"; dropped {len(names)} running statistics that instance norm does not use: {few(names)}"


def described(network: Network) -> str:
    """Type and sizes of one network for a summary."""
    sizes = {"channels": "channels", "levels": "levels", "blocks": "blocks", "layers": "layers"}
    found = [f"{network.options[key]} {word}" for key, word in sizes.items() if key in network.options]
    dropout = [f"dropout {network.options['dropout']}"] if network.options.get("dropout") else []
    return f"{network.options['type']} ({', '.join([*found, *dropout])})"


def _official_names(names: Iterable[str], layers: Layers) -> list[str]:
    official = {ours: theirs for theirs, ours in layers.items()}
    return [f"{official[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}" for name in names]


def _expected(options: Options, part: str) -> dict[str, Tensor]:
    """The state of our component with these options, built without memory."""
    kind = GENERATOR if part == "generator" else DISCRIMINATOR
    plain = {name: value for name, value in options.items() if name not in ("type", "norm")}
    norm = {"type": options["norm"]} if isinstance(options["norm"], str) else options["norm"]
    with torch.device("meta"):
        model = kind(
            options["type"], norm=NORM(norm["type"], **{k: v for k, v in norm.items() if k != "type"}), **plain
        )()
    assert isinstance(model, nn.Module)
    return model.state_dict()


def _load(path: Path) -> dict[str, Tensor]:
    loaded = load(path)
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        found = few(loaded) if isinstance(loaded, Mapping) else f"a {type(loaded).__name__}"
        raise CheckpointError(f"{path}: expected the plain state dict of one network, found {found}")
    return dict(loaded)
