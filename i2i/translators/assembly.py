"""Building a translator from a recipe, and rehearsing one step of it without computing anything."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from i2i.errors import I2IError
from i2i.factory import BuildError
from i2i.randomness import seed_of
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import Problem
from i2i.recipe.wiring import Call
from i2i.translators.outputs import Batch
from i2i.translators.translator import Translator


def build(recipe: Recipe) -> Translator:
    """The recipe's translator with its losses, its weights drawn from the recipe's seed.

    Raises:
        RecipeError: a component refused its options.
    """
    torch.manual_seed(seed_of(recipe.train.seed, "weights"))
    return assemble(recipe)


def assemble(recipe: Recipe) -> Translator:
    """As `build`, with weights drawn from torch's own generator as it stands."""
    try:
        translator = recipe.translator(image_size=recipe.image_size)
        if not isinstance(translator, Translator):
            message = f"{recipe.translator.name!r} does not extend i2i.translators.translator.Translator"
            raise BuildError(recipe.translator, "type", message)
        losses = {name: (cast(nn.Module, plan.factory()), plan.calls) for name, plan in recipe.losses.items()}
    except BuildError as error:
        raise recipe.source.error([_built(recipe, error)]) from error
    translator.wire(losses)
    return translator


def count_parameters(recipe: Recipe) -> dict[str, int]:
    """Parameters of each trained part, counted without making them."""
    with torch.device("meta"):
        translator = assemble(recipe)
    names = dict.fromkeys(name for part in translator.phases.values() for name in part)
    return {name: sum(p.numel() for p in translator.get_submodule(name).parameters()) for name in names}


def rehearse(recipe: Recipe) -> None:
    """Runs every loss of one step on tensors without memory, which finds what no look at the options can.

    Raises:
        RecipeError: components that refuse their options, a loss whose inputs share no domain, shapes that do not fit.
    """
    with torch.device("meta"):
        translator = assemble(recipe)
        try:
            images = {domain: torch.empty(1, 3, recipe.image_size, recipe.image_size) for domain in translator.domains}
        except RuntimeError as error:
            raise recipe.source.error([recipe.source.problem(("data", "size"), f"too large: {error}")]) from error
    batch = Batch(images)
    problems: dict[str, Problem] = {}
    for phase in translator.phases:
        for name, call in translator._calls(phase):
            message = _try(translator, batch, phase, name, call)
            if message:  # networks that do not fit make every loss fail alike: the first one says it
                problems.setdefault(message, recipe.source.problem(("losses", name), message))
    if problems:
        raise recipe.source.error(list(problems.values()))


def _built(recipe: Recipe, error: BuildError) -> Problem:
    factory = error.factory
    inside = bool(error.option) and (*factory.path, error.option) in recipe.source.origins
    path = (*factory.path, error.option) if inside else factory.path
    return recipe.source.problem(path, error.message if inside else str(error))


def _try(translator: Translator, batch: Batch, phase: str, name: str, call: Call) -> str | None:
    try:
        translator._call(name, call, translator._enter(batch, phase))
    except NotImplementedError:
        return None  # an operation without a meta kernel says nothing about the recipe
    except I2IError as error:
        return str(error).removeprefix(f"losses.{name}: ")
    except Exception as error:  # a stranger's loss may raise anything; training would raise it too
        if "meta" in str(error):
            return None  # it looks at values, which tensors without memory do not have
        return f"{type(error).__name__}: {error}"
    return None
