"""Checkpoints of runs that train low-rank adapters: they hold what was trained, and refer to the weights below it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.core import kinds
from i2i.core.plugins import default_registry
from i2i.core.spelling import did_you_mean
from i2i.engine import checkpoint
from i2i.engine.checkpoint import Checkpoint
from i2i.errors import CheckpointError
from i2i.methods.translator import Translator
from i2i.nn.layers.low_rank import DOWN, UP, merged
from i2i.nn.weight_files import few
from i2i.recipe.recipe import Recipe


def source_weights(init: str) -> tuple[dict[str, Tensor], str]:
    """Return the state dict that `train.init` names, and its description.

    Args:
        init: a run folder, one of its checkpoints, or `FORMAT:FILE` with a format of `i2i list importer`.

    Raises:
        CheckpointError: the source contains no weights.
    """
    format, colon, file = init.partition(":")
    importers = default_registry().names(kinds.IMPORTER)
    if colon and format.lower() in importers:
        imported = default_registry().get(kinds.IMPORTER, format).load()(Path(file))
        return imported.weights, f"{imported.summary} ({file})"
    path = Path(init)
    if path.is_file() or (path.is_dir() and not checkpoint.listed(path) and not (path / checkpoint.STATE).is_file()):
        hint = did_you_mean(format, importers) if colon else ""
        raise CheckpointError(
            f"train.init: {init} is not a run; for an official checkpoint write its format before it, such as "
            f"train.init = '{importers[0]}:{file or init}'; formats: {', '.join(importers)}.{hint}"
        )
    saved = checkpoint.find(path)
    return full_weights(saved), f"{saved.folder} (step {saved.step})"


def adapter_state(translator: Translator, recipe: Recipe) -> dict[str, Any] | None:
    """Return what a checkpoint has to say about the frozen weights that its adapters change; None without adapters.

    Args:
        translator: holds the frozen weights.
        recipe: has a table `train.adapter`, and with it `train.init`.
    """
    options, init = recipe.train.adapter, recipe.train.init
    if options is None or init is None:
        return None
    state = translator.state_dict()
    format, colon, file = init.partition(":")
    is_official = colon and format.lower() in default_registry().names(kinds.IMPORTER)
    source = f"{format}:{Path(file).absolute()}" if is_official else str(Path(init).absolute())
    return {
        "source": source,
        "sha256": digest({name: state[name] for name in translator.adapted}),
        "frozen": sorted(translator.adapted),
        "scale": options.alpha / options.rank,
    }


def base_weights(saved: Checkpoint) -> dict[str, Tensor]:
    """Return the frozen weights below a checkpoint's adapters; none where it has no adapters.

    They are looked for where the run has found them, and next to the run's folder.

    Raises:
        CheckpointError: they are missing or have changed.
    """
    adapter = saved.state.get("adapter")
    if adapter is None:
        return {}
    try:
        source, wanted, frozen = str(adapter["source"]), str(adapter["sha256"]), [str(one) for one in adapter["frozen"]]
        float(adapter["scale"])
    except (TypeError, ValueError, LookupError) as error:
        raise CheckpointError(f"{saved.folder} is damaged: {checkpoint.STATE}: adapter: {error}") from error
    prefix, colon, file = source.partition(":")
    official = bool(colon) and prefix.lower() in default_registry().names(kinds.IMPORTER)
    recorded = Path(file if official else source)
    neighbor = saved.folder.absolute().parent.parent.parent / recorded.name
    place = recorded if recorded.exists() or not neighbor.exists() else neighbor
    if not place.exists():
        raise CheckpointError(
            f"{saved.folder} holds adapters alone; the weights below them are missing: expected {recorded}, or "
            f"{neighbor}"
        )
    # A run below may have taken further steps since: any of its checkpoints may be the one.
    older = [str(folder) for _, folder in sorted(checkpoint.listed(place).items(), reverse=True)][1:]
    for candidate in (f"{prefix}:{place}" if official else str(place), *older):
        weights, _ = source_weights(candidate)
        base = {name: weights[name] for name in frozen if name in weights}
        if len(base) == len(frozen) and digest(base) == wanted:
            return base
    raise CheckpointError(
        f"{saved.folder}: {place} has other weights than those that the adapters were trained on; expected the "
        f"SHA-256 {wanted[:16]}... of {len(frozen)} tensors"
    )


def full_weights(saved: Checkpoint, averaged: bool = False) -> dict[str, Tensor]:
    """Return the weights of a checkpoint with its adapters, if it has any, merged into the weights below them.

    Args:
        saved: the checkpoint.
        averaged: replace weights by their exponential moving averages where these exist.

    Raises:
        CheckpointError: the weights, or those below the adapters, are missing, damaged or not finite.
    """
    own = saved.weights(averaged)
    base = base_weights(saved)
    if not base:
        return own
    scale = float(saved.state["adapter"]["scale"])
    weights = {**base, **{name: value for name, value in own.items() if not name.endswith((UP, DOWN))}}
    for name, up in own.items():
        if name.endswith(UP):
            layer = name.removesuffix(UP)
            try:
                weight = weights[f"{layer}.weight"].to(up.dtype)
                weights[f"{layer}.weight"] = merged(weight, up, own[layer + DOWN], scale)
            except (LookupError, RuntimeError) as error:
                raise CheckpointError(f"{saved.folder} is damaged: the adapter of {layer}: {error}") from error
    return weights


def without_base(translator: Translator, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state without the frozen weights below adapters."""
    return {name: value for name, value in state.items() if name not in translator.adapted}


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and float32 values of weights, in the order of their names."""
    total = hashlib.sha256()
    for name, value in sorted(weights.items()):
        total.update(f"{name} {list(value.shape)}\n".encode())
        total.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return total.hexdigest()


def check_base(translator: Translator, taken: Iterable[str], source: str) -> None:
    """Check that a warm start has filled every frozen weight below adapters.

    Args:
        translator: translator with adapters.
        taken: names of the tensors that the source has filled.
        source: description of the source.

    Raises:
        CheckpointError: names the weights that would stay random.
    """
    if missing := translator.adapted - set(taken):
        top = sorted({name.split(".")[0] for name in translator.adapted} - {name.split(".")[0] for name in missing})
        fix = f"adapt only what it has, such as train.adapter.modules = {top}" if top else "it fits no adapted module"
        raise CheckpointError(
            f"train.adapter: {source} has no weights for {len(missing)} frozen tensors: {few(missing)}; {fix}"
        )
