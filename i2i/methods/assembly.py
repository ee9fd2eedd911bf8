"""Building a translator from a recipe, and rehearsing one step of it without computing anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import cast

import torch
from torch import nn
from torch._subclasses import fake_tensor  # no public name yet; meta tensors have no device, which some losses ask for

from i2i.core.contracts import Batch
from i2i.core.factory import BuildError
from i2i.core.randomness import seed_of
from i2i.errors import I2IError, OptionError
from i2i.methods.translator import Translator
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import Problem
from i2i.recipe.wiring import Call

INCONCLUSIVE = (
    NotImplementedError,
    fake_tensor.DataDependentOutputException,
    fake_tensor.DynamicOutputShapeException,
    fake_tensor.UnsupportedFakeTensorException,
    fake_tensor.UnsupportedOperatorException,
)
"""What is raised where values are looked at, which a rehearsal has none of: no sign of a mistake in the recipe."""

_GIVEN = {
    "image": "a generator gives i2i.Translation(image)",
    "logits": "a discriminator gives i2i.DiscriminatorOutput({'patch': logits})",
    "features": "an attention gives i2i.AttentionOutput(features)",
}
"""What is meant where a plain tensor is asked for one of these."""


def build(recipe: Recipe, training: bool = True, steps: bool = True) -> Translator:
    """The recipe's translator, its weights drawn from the recipe's seed.

    Args:
        training: with its losses, and with those weights that come from elsewhere, such as a feature extractor's.
            Without, all weights must come from a checkpoint.
        steps: whether it will take any. Without, the losses' own weights from elsewhere are not read, so that a
            checkpoint can be imported where they are missing.

    Raises:
        RecipeError: a component refused its options, or its weights are not where it expects them.
    """
    torch.manual_seed(seed_of(recipe.train.seed, "weights"))
    translator = _assembled(recipe, training)
    for name, module in translator.named_modules() if training else ():
        load_weights_ = getattr(module, "load_weights_", None)
        if load_weights_ is not None and (steps or not name.startswith("losses.")):
            try:
                load_weights_()
            except OptionError as error:
                table = tuple(name.split(".")[:2]) if name.startswith("losses.") else ("translator",)
                raise recipe.source.error([recipe.source.problem(table, str(error))]) from error
    return translator


def count_parameters(recipe: Recipe) -> dict[str, int]:
    """Parameters of each trained part, counted without making them."""
    with fake_tensors():
        translator = _assembled(recipe)
    return parameters_of(translator)


def shapes_of(recipe: Recipe, losses: bool = True) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors of the translator's state dict by name, found without allocating any.

    Args:
        losses: with the tensors of its losses.
    """
    with fake_tensors() if losses else torch.device("meta"):  # some losses ask for a device; meta is ten times faster
        return {name: tuple(value.shape) for name, value in _assembled(recipe, losses).state_dict().items()}


def parameters_of(translator: Translator) -> dict[str, int]:
    """Parameters of each trained part."""
    return {name: sum(parameter.numel() for parameter in part) for name, part in translator.trainable.items()}


def dry_run(recipe: Recipe) -> None:
    """Runs every loss of one step on tensors without memory, which finds what no look at the options can.

    Raises:
        RecipeError: components that refuse their options, a loss whose inputs share no domain, shapes that do not fit.
    """
    problems: dict[str, Problem] = {}
    try:
        with fake_tensors(), disable_optimizations():  # so that shapes in messages are those of the method's text
            translator = _assembled(recipe)
            for step in translator.structure_changes:
                translator.at_step_(step)
                for name, message in _faults(translator, Batch(_images(recipe, translator))):
                    # Networks that do not fit make every loss fail alike: the first one says it.
                    problems.setdefault(message, recipe.source.problem(("losses", name), message))
    except INCONCLUSIVE:
        return
    if problems:
        raise recipe.source.error(list(problems.values()))


def fake_tensors() -> fake_tensor.FakeTensorMode:
    """A context in which tensors have shapes and no values."""
    logging.getLogger(fake_tensor.__name__).setLevel(logging.CRITICAL)  # what fails is told as a problem of the recipe
    return fake_tensor.FakeTensorMode(allow_non_fake_inputs=True)


def _assembled(recipe: Recipe, with_losses: bool = True) -> Translator:
    try:
        translator = recipe.translator(image_size=recipe.image_size)
        if not isinstance(translator, Translator):
            raise BuildError(recipe.translator, "", "does not extend i2i.methods.translator.Translator")
        plans = recipe.losses if with_losses else {}
        losses = {name: (plan.factory(), plan.calls) for name, plan in plans.items()}
        for name, (loss, _) in losses.items():
            if not isinstance(loss, nn.Module):
                raise BuildError(plans[name].factory, "", f"expected a torch.nn.Module, got {type(loss).__name__}")
    except BuildError as error:
        if isinstance(error.__cause__, INCONCLUSIVE):
            raise error.__cause__ from None
        raise recipe.source.error([_problem(recipe, error)]) from error
    translator.set_losses(cast("dict[str, tuple[nn.Module, tuple[Call, ...]]]", losses))
    return translator


def _images(recipe: Recipe, translator: Translator) -> dict[str, torch.Tensor]:
    size = recipe.image_size
    try:
        return {stream: translator.example_input(stream, size) for stream in translator.streams}
    except RuntimeError as error:
        raise recipe.source.error([recipe.source.problem(("data", "size"), f"too large: {error}")]) from error


def _problem(recipe: Recipe, error: BuildError) -> Problem:
    factory = error.factory
    if error.option in factory.options:
        return recipe.source.problem((*factory.path, error.option), error.message)
    return recipe.source.problem(factory.path, str(error))


def _faults(translator: Translator, batch: Batch) -> Iterator[tuple[str, str]]:
    """Losses that cannot be computed in a step, each with the reason."""
    for phase in translator.phases:
        for name, call in [
            (name, call) for name, calls in translator.calls.items() for call in calls if call.phase == phase
        ]:
            message = _try(translator, batch, phase, name, call)
            if message:
                yield name, message


def _try(translator: Translator, batch: Batch, phase: str, name: str, call: Call) -> str | None:
    try:
        for value in translator.loss_value(name, call, translator.start_phase(batch, phase)).values():
            if not isinstance(value, torch.Tensor) or value.numel() != 1:
                found = f"a tensor {list(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
                return f"{call.method} gives {found}, expected a tensor of one number"
    except INCONCLUSIVE:
        return None
    except I2IError as error:
        return str(error).removeprefix(f"losses.{name}: ")
    except Exception as error:  # a stranger's loss may raise anything, and training would meet it too
        if "tensor subclass" in str(error):
            return None  # it hands tensors to NumPy, which needs their values
        if isinstance(error, AttributeError) and isinstance(error.obj, torch.Tensor) and error.name in _GIVEN:
            return f"cannot be computed: {_GIVEN[error.name]}, got a tensor"
        return f"cannot be computed: {type(error).__name__}: {' '.join(str(error).split())}"
    return None
