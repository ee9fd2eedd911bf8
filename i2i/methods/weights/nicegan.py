"""Checkpoints of the official PyTorch NICE-GAN (alpc91/NICE-GAN-pytorch 1b114f1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from i2i.core.contracts import Imported
from i2i.core.kinds import DECODER, DISCRIMINATOR
from i2i.errors import CheckpointError
from i2i.methods.weights.networks import State, count, features_and_pixels, networks_in
from i2i.methods.weights.nicegan_names import table
from i2i.nn.foreign import few, load

PREFIXES = {
    "gen2B": "generators.b.",  # generators are named after the domain that they paint,
    "gen2A": "generators.a.",
    "disA": "discriminators.a.",  # discriminators after the one that they judge and encode
    "disB": "discriminators.b.",
}
"""The official names of the four networks, each with where its weights stand in the translator's state."""

PROFILE = ("total_ops", "total_params")
"""Buffers that the official program's profiler leaves in gen2B and disA; no network uses them."""
FEWEST_LAYERS = 6
"""Of the official discriminator: two encode, two more halve for `global`, and two end each head."""


def nicegan_pytorch(path: Path) -> Imported:
    """Reads a checkpoint `<dataset>_params_<step>.pt` of the official code.

    Both discriminators are needed as much as the generators: their first layers are the encoders, and translating
    from a to b takes disA and gen2B. The two optimizers' states are dropped, and so are the counters that the official
    program's profiler leaves among the weights; the summary says so.

    Args:
        path: a file that `torch.save` wrote, in its present or its older format; no code in it is run.

    Returns:
        The recipe `nicegan` with the sizes that the shapes of the weights tell. For light generators nothing in such a
        file tells the size of the images.

    Raises:
        CheckpointError: the file is something else, is damaged, or its networks do not fit together; says what was
            found.
    """
    loaded = load(path)
    found = networks_in(path, loaded, PREFIXES, "NICE-GAN")
    networks = {network: without_profile(state) for network, state in found.items()}
    profiled = any(len(networks[network]) < len(state) for network, state in found.items())
    assert isinstance(loaded, Mapping)  # or its networks would not have been found
    dropped = [str(key) for key in loaded if key not in (*PREFIXES, "start_iter")] + list(PROFILE) * profiled
    step = loaded.get("start_iter", 0)
    try:
        settings = _settings(networks)
        _check_shapes(networks, settings)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return Imported(
        "nicegan", settings, convert(networks), _summary(settings, dropped), step if isinstance(step, int) else 0
    )


def without_profile(state: State) -> dict[str, Tensor]:
    """The state without the profiler's counters."""
    return {name: tensor for name, tensor in state.items() if name.rpartition(".")[2] not in PROFILE}


def convert(networks: Mapping[str, State]) -> dict[str, Tensor]:
    """The official state dicts as the translator's one.

    Raises:
        CheckpointError: a name that the official networks do not have, or lack of one that they have.
    """
    return {
        PREFIXES[network] + ours: _reshaped(state[official], ours)
        for network, state in networks.items()
        for official, ours in _names(network, state).items()
    }


def export(weights: State) -> dict[str, dict[str, Tensor]]:
    """The translator's state as the four official state dicts; undoes `convert` to the bit."""
    networks: dict[str, dict[str, Tensor]] = {}
    for network, prefix in PREFIXES.items():
        mine = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        repeated = r"decoder\.\d+\.first\.conv\.weight" if network.startswith("gen") else r"common\.\d+\.conv\.weight"
        networks[network] = {
            official: mine[ours].view(_official_shape(mine[ours], ours))
            for official, ours in table(network, count(mine, repeated)).items()
        }
    return networks


def _names(network: str, state: State) -> dict[str, str]:
    """The table for one network, which has exactly the names that are there."""
    pattern = r"UpBlock1_\d+\.conv1\.weight" if network.startswith("gen") else r"Dis0_0\.\d+\.weight_orig"
    names = table(network, count(state, pattern))
    for problem, found in (("lacks", names.keys() - state.keys()), ("has unknown", state.keys() - names.keys())):
        if found:
            raise CheckpointError(f"{network} {problem} {few(found)}; expected the names of the official NICE-GAN")
    return names


def _reshaped(tensor: Tensor, ours: str) -> Tensor:
    """[C, 2] from the official [1, C, 2], and [C] from [1, C, 1, 1]."""
    if ours.endswith(".norm.rho"):
        return tensor.reshape(-1, 2)
    return tensor.reshape(-1) if ours.endswith((".norm.gamma", ".norm.beta")) else tensor


def _official_shape(tensor: Tensor, ours: str) -> list[int]:
    shape = list(tensor.shape)
    if ours.endswith(".norm.rho"):
        return [1, *shape]
    return [1, *shape, 1, 1] if ours.endswith((".norm.gamma", ".norm.beta")) else shape


def _settings(networks: Mapping[str, State]) -> dict[str, Any]:
    for network in PREFIXES:
        _names(network, networks[network])
    features, pixels = features_and_pixels("gen2B", networks["gen2B"]["FC.0.weight"])
    settings: dict[str, Any] = {
        "translator.generator.channels": features // 4,
        "translator.generator.blocks": count(networks["gen2B"], r"UpBlock1_\d+\.conv1\.weight"),
        "translator.generator.light": pixels == 1,
        "translator.discriminator.channels": networks["disA"]["model.1.bias"].numel(),
        "translator.discriminator.layers": FEWEST_LAYERS + count(networks["disA"], r"Dis0_0\.\d+\.weight_orig"),
    }
    if pixels != 1:
        settings["data.size"] = 4 * math.isqrt(pixels)
    return settings


def _check_shapes(networks: Mapping[str, State], settings: Mapping[str, Any]) -> None:
    """Compares every tensor with that of the network that the settings give, built without memory."""
    of = {part: _below(f"translator.{part}.", settings) for part in ("generator", "discriminator")}
    with torch.device("meta"):
        discriminator: Any = DISCRIMINATOR("encoder_patch", **of["discriminator"])()
        generator = DECODER("adalin_decoder", **of["generator"])(
            discriminator.num_features, image_size=settings.get("data.size")
        )
    for network, state in networks.items():
        model = generator if network.startswith("gen") else discriminator
        assert isinstance(model, nn.Module)
        expected = model.state_dict()
        for official, ours in _names(network, state).items():
            if ours not in expected:
                raise CheckpointError(f"{network} has more blocks or layers than its twin: {official}")
            wanted, got = _official_shape(expected[ours], ours), list(state[official].shape)
            if wanted != got:
                raise CheckpointError(
                    f"{network}.{official} has shape {got}; the other weights ask for {wanted}, with "
                    + ", ".join(f"{name} = {value}" for name, value in settings.items())
                )
        if len(expected) > len(state):
            raise CheckpointError(f"{network} has fewer blocks or layers than its twin")


def _below(prefix: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}


def _summary(settings: Mapping[str, Any], dropped: list[str]) -> str:
    size = (
        f"for {settings['data.size']} px" if "data.size" in settings else "for any image size (which one is not known)"
    )
    generator, discriminator = (_below(f"translator.{part}.", settings) for part in ("generator", "discriminator"))
    return (
        f"NICE-GAN, {'light' if generator['light'] else 'full'} generators of {generator['channels']} channels and "
        f"{generator['blocks']} blocks {size}; discriminators of {discriminator['channels']} channels and "
        f"{discriminator['layers']} layers, whose encoders the generators need; "
        + (f"dropped: {', '.join(dropped)}" if dropped else "nothing dropped")
    )
