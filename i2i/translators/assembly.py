"""Building a translator from a recipe, and rehearsing one step of it without computing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from i2i.errors import I2IError
from i2i.randomness import seed_of
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import Problem, RecipeError
from i2i.translators.outputs import Batch
from i2i.translators.translator import Translator


def build(recipe: Recipe) -> Translator:
    """The recipe's translator with its losses, its weights drawn from the recipe's seed."""
    torch.manual_seed(seed_of(recipe.train.seed, "weights"))
    translator = recipe.translator(image_size=recipe.image_size)
    if not isinstance(translator, Translator):
        raise I2IError(f"translator {recipe.translator.name!r} does not extend i2i.translators.translator.Translator")
    losses = {name: (cast(nn.Module, plan.factory()), plan.calls) for name, plan in recipe.losses.items()}
    translator.wire(losses)
    return translator


def count_parameters(recipe: Recipe) -> dict[str, int]:
    """Parameters of each trained part, counted without making them."""
    with torch.device("meta"):
        translator = build(recipe)
    names = dict.fromkeys(name for part in translator.phases.values() for name in part)
    return {name: sum(p.numel() for p in translator.get_submodule(name).parameters()) for name in names}


def rehearse(recipe: Recipe, where: Mapping[str, str] | None = None) -> None:
    """Runs every loss of one step on tensors without memory, which finds what no look at the options can.

    Args:
        where: place in a recipe file of each loss, for messages.

    Raises:
        RecipeError: a loss whose inputs share no domain, shapes that do not fit, an image too small.
    """
    with torch.device("meta"):
        translator = build(recipe)
        size = recipe.image_size
        images = {domain: torch.empty(1, 3, size, size) for domain in translator.domains}
    problems = []
    for phase in translator.phases:
        for name, call in translator._calls(phase):
            problem = _try(translator, Batch(images), phase, name, call)
            if problem:
                key = f"losses.{name}"
                problems.append(Problem((where or {}).get(name, recipe.name), key, problem.removeprefix(f"{key}: ")))
    if problems:
        raise RecipeError(list(dict.fromkeys(problems)))


def _try(translator: Translator, batch: Batch, phase: str, name: str, call: Any) -> str | None:
    try:
        translator._call(name, call, translator._enter(batch, phase))
    except NotImplementedError:
        return None  # an operation without a meta kernel says nothing about the recipe
    except (I2IError, RuntimeError, TypeError, ValueError, IndexError) as error:
        return str(error)
    return None
