"""Write an imported checkpoint as a run folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.core.contracts import Imported
from i2i.engine import checkpoint
from i2i.errors import CheckpointError
from i2i.methods.assembly import build, make_optimizer, shapes_of
from i2i.recipe.recipe import Recipe, to_setting


def write_run(imported: Imported, folder: Path, settings: Iterable[str] = ()) -> Path:
    """Write a run with one checkpoint; optimizers start from scratch unless the importer gives their state.

    Args:
        imported: what an importer returned.
        folder: folder of the new run.
        settings: `key=value` each, on top of the importer's settings.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: the folder holds a run, or the weights do not fit the recipe.
    """
    if checkpoint.listed(folder):
        raise CheckpointError(f"{folder} already contains a run; choose another folder")
    defaults = [to_setting(key, value) for key, value in imported.settings.items()]
    recipe = Recipe.read(imported.recipe, [*defaults, *settings])
    _check(imported, recipe)
    translator = build(recipe, steps=False)
    scratch = tuple(f"{part}." for part in imported.untrained)
    initial = {name: value for name, value in translator.state_dict().items() if name.startswith(scratch)}
    translator.load_state_dict({**(initial if scratch else {}), **imported.weights})
    files: dict[str, dict[str, Tensor]] = {checkpoint.WEIGHTS: translator.state_dict()}
    optimizers = {}
    names = {parameter: name for name, parameter in translator.named_parameters()}
    for phase, plan in recipe.optimizers.items() if imported.optimizer_state else ():
        optimizer = make_optimizer(recipe, translator, phase)
        ordered = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
        files[f"optimizer-{phase}.safetensors"] = {
            f"{index}.{key}": value
            for index, name in enumerate(ordered)
            for key, value in imported.optimizer_state.get(name, {}).items()
        }
        optimizers[phase] = {"state": {}, "options": plan.resolved()}
    state: dict[str, Any] = {"recipe": recipe.name, "optimizers": optimizers, "scaler": None, "processes": 1}
    written = checkpoint.write(folder / "checkpoints", imported.step, files, state, recipe.to_toml())
    (folder / checkpoint.RECIPE).write_text(recipe.to_toml(), encoding="utf-8")
    return written


def _check(imported: Imported, recipe: Recipe) -> None:
    """Compare shapes before any network is built: a file of some bytes can claim any size.

    Raises:
        CheckpointError: names the first weight that does not fit.
    """
    scratch = tuple(f"{part}." for part in imported.untrained)
    for name, shape in shapes_of(recipe).items():
        weight = imported.weights.get(name)
        if weight is None and name.startswith(scratch):
            continue
        if weight is None or tuple(weight.shape) != shape:
            found = "nothing" if weight is None else list(weight.shape)
            raise CheckpointError(
                f"the weights do not fit the recipe {imported.recipe!r}: {name}: expected {list(shape)}, got {found}"
            )
        if weight.is_floating_point() and not weight.isfinite().all():
            raise CheckpointError(f"{name} contains NaN or Inf")
