"""Checkpoints of the official MUNIT (NVlabs/MUNIT a82e222) and UNIT (mingyuliutw/UNIT 28d5982)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from i2i.core.contracts import Imported
from i2i.core.kinds import DISCRIMINATOR, GENERATOR
from i2i.errors import CheckpointError
from i2i.methods.weights.munit_names import DISCRIMINATORS, GENERATORS, State, convert, counts, names_of
from i2i.nn.foreign import few, load

UNUSED = re.compile(r".*\.norm\.(running_mean|running_var|num_batches_tracked)")
"""Statistics that the official norms carry but never read; files of torch 0.3 have more of them."""


def munit_pytorch(path: Path) -> Imported:
    """Reads MUNIT's `gen_<step>.pt`, with `dis_<step>.pt` where that lies beside it.

    Args:
        path: either file, or the folder that holds them, of which the last step is taken; no code in it is run.

    Returns:
        The recipe `munit` with the sizes that the shapes of the weights tell. Discriminators that are not there start
        anew, and so do the optimizers.

    Raises:
        CheckpointError: the file is something else, is damaged, or its networks do not fit together.
    """
    return _read(path, "munit")


def unit_pytorch(path: Path) -> Imported:
    """Reads UNIT's `gen_<step>.pt`, with `dis_<step>.pt` where that lies beside it; see `munit_pytorch`."""
    return _read(path, "unit")


def _read(path: Path, method: str) -> Imported:
    generators_file, discriminators_file = _files(path)
    generators, dropped = _pair(generators_file, method)
    discriminators = None
    if discriminators_file.is_file():
        discriminators, more = _pair(discriminators_file, method)
        dropped += more
    settings = _settings(generators["a"], "generator", generators_file, method)
    weights = _placed(generators, GENERATORS[method], settings, method, generators_file)
    if discriminators is None:
        weights |= _fresh_discriminators()
    else:
        settings |= _settings(discriminators["a"], "discriminator", discriminators_file, method)
        weights |= _placed(discriminators, DISCRIMINATORS, settings, method, discriminators_file)
    found = re.search(r"(\d+)\.pt$", generators_file.name)
    summary = _summary(method, settings, discriminators_file if discriminators is None else None, dropped)
    return Imported(method, settings, weights, summary, int(found[1]) if found else 0)


def _files(path: Path) -> tuple[Path, Path]:
    """Generators' and discriminators' file; the second one may not exist."""
    if path.is_dir():
        steps = sorted(path.glob("gen_*.pt"))
        if not steps:
            found = few(entry.name for entry in path.iterdir())
            raise CheckpointError(f"{path}: expected a folder with gen_<step>.pt, found {found}")
        path = steps[-1]
    if path.name.startswith("dis_"):
        return path.with_name(f"gen_{path.name.removeprefix('dis_')}"), path
    return path, path.with_name(f"dis_{path.name.removeprefix('gen_')}")


def _pair(path: Path, method: str) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """The state dicts of both domains, and what was dropped from them."""
    loaded = load(path)
    expected = f"expected {method.upper()}'s state dicts a and b"
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: {expected}, found a {type(loaded).__name__}")
    if set(loaded) != {"a", "b"}:
        raise CheckpointError(f"{path}: {expected}, found {few(loaded)}")
    states: dict[str, dict[str, Tensor]] = {}
    dropped = []
    for domain in ("a", "b"):
        state = loaded[domain]
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise CheckpointError(f"{path}: expected {domain} to be a state dict, found a {type(state).__name__}")
        states[domain] = {name: value for name, value in state.items() if not UNUSED.fullmatch(name)}
        dropped += [f"{domain}/{name}" for name in state if UNUSED.fullmatch(name)]
    return states, dropped


def _settings(state: State, kind: str, path: Path, method: str) -> dict[str, Any]:
    """What the names and shapes of one network tell of the recipe."""
    found = counts(state)
    try:
        if kind == "discriminator":
            sizes = {
                "channels": state["cnns.0.0.conv.weight"].shape[0],
                "layers": found.layers,
                "scales": found.scales,
            }
            return {f"translator.discriminators.multiscale.{name}": size for name, size in sizes.items()}
        content = "enc_content" if method == "munit" else "enc"
        sizes = {
            "channels": state[f"{content}.model.0.conv.weight"].shape[0],
            "downsamplings": found.downsamplings,
            "blocks": found.blocks,
        }
        if method == "munit":
            sizes["style_channels"] = state["mlp.model.0.fc.weight"].shape[1]
            sizes["mlp_channels"] = state["mlp.model.0.fc.weight"].shape[0]
            sizes["style_downsamplings"] = found.style_downsamplings
        return {f"translator.generator.{name}": size for name, size in sizes.items()}
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{path}: expected a {kind} of the official {method.upper()}, which has {error}; found {few(state)}"
        ) from error


def _placed(
    states: Mapping[str, State], prefixes: Mapping[str, str], settings: Mapping[str, Any], method: str, path: Path
) -> dict[str, Tensor]:
    """The weights under our names, with every shape compared with that of the network that the settings give."""
    kind = "discriminator" if prefixes is DISCRIMINATORS else "generator"
    expected = _built(settings, kind, method).state_dict()
    weights: dict[str, Tensor] = {}
    for domain, prefix in prefixes.items():
        state = states[domain]
        names = names_of(counts(states["a"]), kind, method)
        for problem, found in (("lacks", names.keys() - state.keys()), ("has unknown", state.keys() - names.keys())):
            if found:
                wanted = f"expected the official {method.upper()}'s names"
                raise CheckpointError(f"{path}: {domain} {problem} {few(found)}; {wanted}")
        for official, ours in names.items():
            if state[official].shape != expected[ours].shape:
                raise CheckpointError(
                    f"{path}: {domain}/{official} has shape {list(state[official].shape)}; the other weights ask for "
                    f"{list(expected[ours].shape)}, with "
                    + ", ".join(f"{name} = {value}" for name, value in settings.items())
                )
        weights |= {prefix + ours: value for ours, value in convert(state, names).items()}
    return weights


def _built(settings: Mapping[str, Any], kind: str, method: str) -> nn.Module:
    """The network of these settings, without memory."""
    options = {key.rpartition(".")[2]: value for key, value in settings.items() if f".{kind}" in key}
    name = {"munit": "content_style", "unit": "shared_latent"}[method]
    with torch.device("meta"):
        model = GENERATOR(name, **options)() if kind == "generator" else DISCRIMINATOR("multiscale", **options)()
    assert isinstance(model, nn.Module)
    return model


def _fresh_discriminators() -> dict[str, Tensor]:
    """Discriminators as the recipe starts them, always the same ones."""
    weights: dict[str, Tensor] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for prefix in DISCRIMINATORS.values():
            model = DISCRIMINATOR("multiscale")()
            assert isinstance(model, nn.Module)
            weights |= {prefix + name: value for name, value in model.state_dict().items()}
    return weights


def _summary(method: str, settings: Mapping[str, Any], missing: Path | None, dropped: list[str]) -> str:
    of = {key.removeprefix("translator."): value for key, value in settings.items()}
    styles = f", styles of {of['generator.style_channels']} numbers" if method == "munit" else ""
    if missing is None:
        judges = "discriminators of {} scales with {} layers".format(
            of["discriminators.multiscale.scales"], of["discriminators.multiscale.layers"]
        )
    else:
        judges = f"no {missing.name} beside it, so the discriminators start anew"
    dead = f"; dropped {len(dropped)} statistics that nothing reads: {few(dropped)}" if dropped else ""
    return (
        f"{method.upper()}, generators of {of['generator.channels']} channels, {of['generator.downsamplings']} "
        f"halvings and {of['generator.blocks']} + {of['generator.blocks']} blocks{styles}; {judges}; "
        f"no optimizer state{dead}"
    )
