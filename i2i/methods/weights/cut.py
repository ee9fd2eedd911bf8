"""Checkpoints of the official CUT and FastCUT (taesungp/contrastive-unpaired-translation b3ac297)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError, OptionError
from i2i.methods.weights import cut_names
from i2i.methods.weights.cut_names import State
from i2i.nn.discriminators.patch import Patch
from i2i.nn.foreign import few, load
from i2i.nn.generators.resnet import Resnet
from i2i.nn.layers.projection import PatchHeads
from i2i.nn.layers.stages import named_taps

PREFIXES = {"G": "generator.", "D": "discriminators.b.local.", "F": "heads."}
"""The official names of the three networks, each with where its weights stand in the translator's state."""
LAYERS = (0, 4, 8, 12, 16)
"""The official default of the layers that are tapped; the files do not say which ones were."""


def cut_pytorch(path: Path) -> Imported:
    """Reads `latest_net_G.pth` and, beside it, `latest_net_D.pth` and `latest_net_F.pth`.

    Args:
        path: the generator's file, or the folder that holds `latest_net_G.pth`; no code in the files is run.

    Returns:
        The recipe `cut` with the sizes that the shapes of the weights tell. Where the discriminator's or the heads'
        file is missing, that network starts anew, which matters to further training alone.

    Raises:
        CheckpointError: a file is something else, is damaged, or the networks do not fit together.
    """
    file = path / "latest_net_G.pth" if path.is_dir() else path
    if not file.name.endswith("net_G.pth"):
        raise CheckpointError(f"{file}: expected the generator's file, such as latest_net_G.pth, or its folder")
    files = {network: file.with_name(file.name.replace("net_G.pth", f"net_{network}.pth")) for network in PREFIXES}
    states = {network: _state(where) for network, where in files.items() if network == "G" or where.is_file()}
    network = "G"
    try:
        # What has no file starts anew, always the same way.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            options = cut_names.generator_options(states["G"])
            generator = Resnet(**options, init="xavier")
            settings = {f"translator.generator.{name}": value for name, value in options.items()}
            network = "D"
            options = cut_names.discriminator_options(states["D"]) if "D" in states else {"down": "blur"}
            discriminator = Patch(**options, init="xavier")
            settings |= {f"translator.discriminators.local.{name}": value for name, value in options.items()}
            network = "F"
            layers, guessed = _taps(generator, states.get("F"))
            width = cut_names.head_width(states["F"]) if "F" in states else 256
            heads = PatchHeads(generator.tapped_channels(layers), width)
            settings |= {"translator.taps": list(layers), "translator.width": "none" if width is None else width}
        weights: dict[str, Tensor] = {}
        for network, module in (("G", generator), ("D", discriminator), ("F", heads)):
            ours = module.state_dict()
            if network in states:
                ours = cut_names.names_of(module).to_ours(states[network], ours)
            weights |= {PREFIXES[network] + name: value for name, value in ours.items()}
    except (CheckpointError, OptionError) as error:
        raise CheckpointError(f"{files[network]}: {error}") from error
    anew = [name for key, name in (("D", "the discriminator"), ("F", "the heads")) if key not in states]
    return Imported("cut", settings, weights, _summary(settings, anew, guessed))


def export(networks: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The official state dicts of our modules by the names `G`, `D` and `F`; undoes the import to the bit."""
    return {name: cut_names.names_of(module).to_official(module.state_dict()) for name, module in networks.items()}


def _taps(generator: Resnet, heads: State | None) -> tuple[tuple[str, ...], bool]:
    """Layers that fit the heads: the official default, or else the first ones of the right sizes, which is a guess."""
    stages = generator.stages()
    default = tuple(layer for layer in LAYERS if layer < len(stages))
    widths = cut_names.head_inputs(heads) if heads else ()
    if not widths or widths == generator.tapped_channels(default):
        return named_taps(stages, default), False
    found: list[str] = []
    left = iter(stages)
    for width in widths:
        name = next((stage.name for stage in left if stage.channels == width), None)
        if name is None:
            raise CheckpointError(f"heads for features of {_list(widths)} channels fit no layers of the generator")
        found.append(name)
    return tuple(found), True


def _state(path: Path) -> dict[str, Tensor]:
    loaded = load(path)
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        held = few(loaded) if isinstance(loaded, Mapping) else f"a {type(loaded).__name__}"
        raise CheckpointError(f"{path}: expected the state dict of one of CUT's networks, found {held}")
    return {re.sub(r"^module\.", "", str(name)): value for name, value in loaded.items()}


def _summary(settings: Mapping[str, Any], anew: Sequence[str], guessed: bool) -> str:
    option = {name.removeprefix("translator.generator."): value for name, value in settings.items()}
    blurred = [what for what, name in (("halving", "down"), ("doubling", "upsample")) if option[name] == "blur"]
    parts = [
        f"CUT, a generator of {option['channels']} channels and {option['blocks']} blocks, "
        + (f"antialiased in {' and '.join(blurred)}" if blurred else "not antialiased"),
        "dropped the blurs' filters, which are constants" if blurred else "",
        f"{' and '.join(anew)} start anew, for want of a file" if anew else "",
        "which layers were tapped is a guess (translator.taps)" if guessed else "",
        "no optimizer state",
    ]
    return "; ".join(part for part in parts if part)


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
