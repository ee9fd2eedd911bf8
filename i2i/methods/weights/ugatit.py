"""Checkpoints of the official PyTorch U-GAT-IT (znxlwm/UGATIT-pytorch b8c4251)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from i2i.core.contracts import Imported
from i2i.core.kinds import ATTENTION, DISCRIMINATOR, GENERATOR
from i2i.errors import CheckpointError
from i2i.methods.weights.networks import State, count, features_and_pixels, networks_in
from i2i.nn.foreign import few, load

PREFIXES = {
    "genA2B": "generators.b.",  # generators are named after the domain that they paint,
    "genB2A": "generators.a.",
    "disGA": "discriminators.a.global_.",  # discriminators after the one that they judge
    "disGB": "discriminators.b.global_.",
    "disLA": "discriminators.a.local.",
    "disLB": "discriminators.b.local.",
}
"""The official names of the six networks, each with where its weights stand in the translator's state."""


def ugatit_pytorch(path: Path) -> Imported:
    """Reads a checkpoint `<dataset>_params_<step>.pt` of the official code.

    Args:
        path: a file that `torch.save` wrote, in its present or its older format; no code in it is run.

    Returns:
        The recipe `ugatit` with the sizes that the shapes of the weights tell. Such a file holds no optimizer state,
        and for light generators nothing in it tells the size of the images.

    Raises:
        CheckpointError: the file is something else, is damaged, or its networks do not fit together; says what was
            found.
    """
    networks = networks_in(path, load(path), PREFIXES, "U-GAT-IT")
    try:
        settings = _settings(networks)
        _check_shapes(networks, settings)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return Imported("ugatit", settings, convert(networks), _summary(settings))


def convert(networks: Mapping[str, State]) -> dict[str, Tensor]:
    """The six official state dicts as the translator's one.

    Raises:
        CheckpointError: a name that the official networks do not have, or lack of one that they have.
    """
    return {
        PREFIXES[network] + ours: _reshaped(state[official], ours)
        for network, state in networks.items()
        for official, ours in _names(network, state).items()
    }


def export(weights: State) -> dict[str, dict[str, Tensor]]:
    """The translator's state as the six official state dicts; undoes `convert` to the bit."""
    networks: dict[str, dict[str, Tensor]] = {}
    for network, prefix in PREFIXES.items():
        mine = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        repeated = re.compile(r"decoder\.\d+\.first\.conv\.weight|blocks\.\d+\.conv\.weight")
        blocks = sum(repeated.fullmatch(name) is not None for name in mine)
        table = _generator_names(blocks) if network.startswith("gen") else _discriminator_names(blocks)
        networks[network] = {
            official: mine[ours].view(1, -1, 1, 1) if _is_flat(ours) else mine[ours] for official, ours in table.items()
        }
    return networks


def _generator_names(blocks: int) -> dict[str, str]:
    """Official name: our name, of every tensor of a generator."""
    names = {
        f"DownBlock.{1 + 4 * i}.weight": f"encoder.{at}.conv.weight"
        for i, at in enumerate(("stem", "down.0", "down.1"))
    }
    for i in range(blocks):
        for official, half in ((1, "first"), (5, "second")):
            names[f"DownBlock.{12 + i}.conv_block.{official}.weight"] = f"encoder.blocks.{i}.{half}.conv.weight"
    names |= _attention_names({"weight": "weight"})
    names |= {"FC.0.weight": "modulation.first.weight", "FC.2.weight": "modulation.second.weight"}
    names |= {f"{name}.weight": f"modulation.{name}.weight" for name in ("gamma", "beta")}
    for i in range(blocks):
        for official, half in ((1, "first"), (2, "second")):
            names[f"UpBlock1_{i + 1}.conv{official}.weight"] = f"decoder.{i}.{half}.conv.weight"
            names[f"UpBlock1_{i + 1}.norm{official}.rho"] = f"decoder.{i}.{half}.norm.rho"
    for i in range(2):
        names[f"UpBlock2.{2 + 5 * i}.weight"] = f"image_decoder.up.{i}.conv.weight"
        for name in ("rho", "gamma", "beta"):
            names[f"UpBlock2.{3 + 5 * i}.{name}"] = f"image_decoder.up.{i}.norm.{name}"
    return {**names, "UpBlock2.11.weight": "image_decoder.head.weight"}


def _discriminator_names(blocks: int) -> dict[str, str]:
    """Official name: our name, of every tensor of a discriminator with this many convolutions before its last."""
    spectral = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}
    names: dict[str, str] = {}
    for i in range(blocks):
        names |= {f"model.{1 + 3 * i}.{part}": f"blocks.{i}.conv.{mine}" for part, mine in spectral.items()}
        names[f"model.{1 + 3 * i}.bias"] = f"blocks.{i}.conv.bias"
    return names | _attention_names(spectral) | {f"conv.{part}": f"final.{mine}" for part, mine in spectral.items()}


def _attention_names(parts: Mapping[str, str]) -> dict[str, str]:
    classifiers = {
        f"{official}.{part}": f"attention.classifiers.{pool}.{mine}"
        for official, pool in (("gap_fc", "average"), ("gmp_fc", "max"))
        for part, mine in parts.items()
    }
    return {**classifiers, "conv1x1.weight": "attention.mix.weight", "conv1x1.bias": "attention.mix.bias"}


def _names(network: str, state: State) -> dict[str, str]:
    """The table for one network, which has exactly the names that are there."""
    if network.startswith("gen"):
        names = _generator_names(count(state, r"UpBlock1_\d+\.conv1\.weight"))
    else:
        names = _discriminator_names(count(state, r"model\.\d+\.weight_orig"))
    for problem, found in (("lacks", names.keys() - state.keys()), ("has unknown", state.keys() - names.keys())):
        if found:
            raise CheckpointError(f"{network} {problem} {few(found)}; expected the names of the official U-GAT-IT")
    return names


def _is_flat(ours: str) -> bool:
    """Whether we hold as [C] what the official code holds as [1, C, 1, 1]."""
    return ours.endswith((".norm.rho", ".norm.gamma", ".norm.beta"))


def _reshaped(tensor: Tensor, ours: str) -> Tensor:
    return tensor.reshape(-1) if _is_flat(ours) else tensor


def _settings(networks: Mapping[str, State]) -> dict[str, Any]:
    generator = _names("genA2B", networks["genA2B"])
    features, pixels = features_and_pixels("genA2B", networks["genA2B"]["FC.0.weight"])
    settings: dict[str, Any] = {
        "translator.generator.channels": features // 4,
        "translator.generator.blocks": sum(ours.endswith("first.norm.rho") for ours in generator.values()),
        "translator.generator.light": pixels == 1,
    }
    for head, network in (("global_", "disGA"), ("local", "disLA")):
        convolutions = [name for name in _names(network, networks[network]).values() if name.endswith("conv.u")]
        settings[f"translator.discriminators.{head}.channels"] = networks[network]["model.1.bias"].numel()
        settings[f"translator.discriminators.{head}.layers"] = len(convolutions) + 1
    if pixels != 1:
        settings["data.size"] = 4 * math.isqrt(pixels)
    return settings


def _check_shapes(networks: Mapping[str, State], settings: Mapping[str, Any]) -> None:
    """Compares every tensor with that of the network that the settings give, built without memory."""
    with torch.device("meta"):
        generator = GENERATOR(
            "resnet_adalin",
            **{name: settings[f"translator.generator.{name}"] for name in ("channels", "blocks", "light")},
            image_size=settings.get("data.size"),
        )()
        patches = {
            head: DISCRIMINATOR(
                "patch",
                **{name: settings[f"translator.discriminators.{head}.{name}"] for name in ("channels", "layers")},
                max_multiplier=None,
                norm=None,
                spectral_norm=True,
                attention=ATTENTION("cam"),
                final_bias=False,
            )()
            for head in ("global_", "local")
        }
    for network, state in networks.items():
        model = (
            generator if network.startswith("gen") else patches["global_" if network.startswith("disG") else "local"]
        )
        assert isinstance(model, nn.Module)
        expected = model.state_dict()
        for official, ours in _names(network, state).items():
            if ours not in expected:
                raise CheckpointError(f"{network} has more blocks or layers than its twin: {official}")
            wanted, got = list(expected[ours].shape), list(state[official].shape)
            if _is_flat(ours):
                wanted = [1, *wanted, 1, 1]
            if wanted != got:
                raise CheckpointError(
                    f"{network}.{official} has shape {got}; the other weights ask for {wanted}, with "
                    + ", ".join(f"{name} = {value}" for name, value in settings.items())
                )
        if len(expected) > len(state):
            raise CheckpointError(f"{network} has fewer blocks or layers than its twin")


def _summary(settings: Mapping[str, Any]) -> str:
    size = (
        f"for {settings['data.size']} px" if "data.size" in settings else "for any image size (which one is not known)"
    )
    kind = "light" if settings["translator.generator.light"] else "full"
    patches = " and ".join(
        f"{head} with {settings[f'translator.discriminators.{head}.layers']} layers" for head in ("global_", "local")
    )
    return (
        f"U-GAT-IT, {kind} generators of {settings['translator.generator.channels']} channels and "
        f"{settings['translator.generator.blocks']} + {settings['translator.generator.blocks']} blocks {size}; "
        f"discriminators {patches}; no optimizer state"
    )
