"""Construction of a translator from a recipe, and a dry run of one step with fake tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from i2i.core.contracts import Batch, Stream
from i2i.core.factory import BuildError
from i2i.core.kinds import METRIC
from i2i.core.randomness import seed_of
from i2i.core.spelling import did_you_mean
from i2i.data.decoding import pixel_limit
from i2i.data.measured import has_ground_truth
from i2i.errors import I2IError, OptionError
from i2i.methods.freezing import add_adapters, freeze
from i2i.methods.networks import trained_networks
from i2i.methods.recomputing import recompute_blocks
from i2i.methods.translator import Translator
from i2i.nn.functional.optimizations import disable_optimizations
from i2i.nn.private_torch import VALUE_NEEDED, fake_tensors
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import KeyPath, Problem
from i2i.recipe.tables import Averaging, ParameterGroup
from i2i.recipe.wiring import Call

Report = Callable[[KeyPath, str], None]
_WRAPPED = {
    "image": "a generator returns i2i.GeneratorOutput(image)",
    "logits": "a discriminator returns i2i.DiscriminatorOutput({'patch': logits})",
    "features": "an attention returns i2i.AttentionOutput(features)",
}
"""Fix for a component that returns a tensor, by the attribute that the tensor lacks."""


def build(
    recipe: Recipe, training: bool = True, steps: bool = True, streams: Mapping[str, Stream] | None = None
) -> Translator:
    """Build the recipe's translator, with weights drawn from the recipe's seed.

    Args:
        recipe: the checked recipe.
        training: whether to build the losses, and to load pretrained weights, such as those of a feature extractor.
            If not, all weights must come from a checkpoint.
        steps: whether the translator will take training steps. If not, pretrained weights of losses are not loaded, so
            that a checkpoint can be imported where these weights are missing.
        streams: specification of each stream of the data, by name; that of the recipe when None.

    Raises:
        RecipeError: the options of a component are not valid, or its weights cannot be loaded.
    """
    torch.manual_seed(seed_of(recipe.train.seed, "weights"))
    translator = _assembled(recipe, training, streams=streams)
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
    """Return the number of parameters of each trained submodule, without allocating them if possible.

    Args:
        recipe: the checked recipe.

    Raises:
        RecipeError: the options of a component are not valid.
    """
    try:
        with fake_tensors():
            return parameters_of(_assembled(recipe, skip_inconclusive=True))
    except VALUE_NEEDED:  # the constructor of a network reads values of tensors
        return parameters_of(_assembled(recipe, with_losses=False))


def shapes_of(recipe: Recipe, losses: bool = True) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of the translator's state dict by name, without allocating any.

    Args:
        recipe: the checked recipe.
        losses: whether to include the tensors of the losses.
    """
    # Some losses read the device, which fake tensors report as usual; the meta device is ten times faster.
    with fake_tensors() if losses else torch.device("meta"):
        return {name: tuple(value.shape) for name, value in _assembled(recipe, losses).state_dict().items()}


def parameters_of(translator: Translator) -> dict[str, int]:
    """Return the number of trained parameters of each submodule."""
    return {name: sum(parameter.numel() for parameter in part) for name, part in translator.trainable.items()}


def check_image_size(recipe: Recipe) -> None:
    """Check that training images have no more pixels than an image that is read may have.

    Raises:
        RecipeError: they have more, which no memory would hold.
    """
    for stream in recipe.streams.values():
        height, width = stream.size or (0, 0)
        if height * width > (limit := pixel_limit()):
            many = f"{height} x {width} pixels are more than the limit of {limit} for an image"
            raise recipe.source.error([recipe.source.problem(("data", "size"), many)])


def dry_run(recipe: Recipe, streams: Mapping[str, Stream] | None = None) -> None:
    """Compute every loss of one step, and build every optimizer, with fake tensors.

    This finds errors that depend on several components, such as shapes that do not match. A loss that reads values,
    which fake tensors lack, is skipped; the others are still checked.

    Args:
        recipe: the checked recipe.
        streams: specification of each stream of the data, by name; that of the recipe when None.

    Raises:
        RecipeError: all problems: options that are not valid, losses whose inputs share no domain, shapes that do not
            match, options of the table `[train]` without effect on this translator.
    """
    problems: dict[str, Problem] = {}

    def report(path: KeyPath, message: str) -> None:
        # Networks whose shapes do not match make all losses fail with one message: only the first one is reported.
        problems.setdefault(message, recipe.source.problem(path, message))

    check_image_size(recipe)
    # On the reference path the shapes in messages are those of the method as it is published.
    with fake_tensors(), disable_optimizations():
        try:
            translator = _assembled(recipe, skip_inconclusive=True, streams=streams)
        except VALUE_NEEDED:
            return  # the constructor of a network reads values of tensors, so nothing can be checked
        for phase, name in ((phase, spec.optimizer or phase) for phase, spec in translator.phases.items()):
            if phase == name:
                _check_optimizer(recipe, translator, phase, report)
        for step in translator.structure_changes:
            translator.at_step_(step)
            for loss, message in _failures(translator, Batch(_example(recipe, translator))):
                report(("losses", loss), message)
        _check_schedule(recipe, report)
        _check_honoured(recipe, translator, report)
    if problems:
        raise recipe.source.error(list(problems.values()))


def make_optimizer(recipe: Recipe, translator: Translator, phase: str) -> Optimizer:
    """Build the optimizer of a phase, with the recipe's parameter groups.

    Args:
        recipe: the checked recipe.
        translator: translator whose parameters are optimized.
        phase: name of the phase.

    Raises:
        OptionError: the options are not valid, the component is not a torch.optim.Optimizer, or a group names no
            trained submodule.
    """
    plan = recipe.optimizers[phase]
    optimizer: object = plan.factory(_parameters(translator, phase, plan.groups))
    if not isinstance(optimizer, Optimizer):
        what = f"{plan.factory.name!r}: expected a torch.optim.Optimizer, got {type(optimizer).__name__}"
        raise OptionError(f"optimizers.{phase}", what)
    return optimizer


def _parameters(
    translator: Translator, phase: str, groups: tuple[ParameterGroup, ...]
) -> list[nn.Parameter] | list[dict[str, Any]]:
    """Return the parameters that a phase trains, in groups if the recipe has any.

    A group names submodules by the last parts of their names: `heads` means `generators.a.heads` and
    `generators.b.heads`. Parameters in no group come first, with the optimizer's own options.
    """
    trained = [parameter for name in translator.phases[phase].modules for parameter in translator.trainable[name]]
    if not groups:
        return trained
    below = {
        f"{top}.{name}".removesuffix("."): module
        for top in translator.phases[phase].modules
        for name, module in translator.get_submodule(top).named_modules()
    }
    owner: dict[nn.Parameter, int] = {}
    for index, group in enumerate(groups):
        for wanted in group.modules:
            key = f"optimizers.{phase}.groups"
            modules = [module for name, module in below.items() if f".{name}".endswith(f".{wanted}")]
            if not modules:
                names = sorted({".".join(name.split(".")[-length:]) for name in below for length in (1, 2, 3)})
                near = did_you_mean(wanted, names)
                raise OptionError(key, f"phase {phase!r} trains no submodule {wanted!r}.{near}".removesuffix("."))
            for parameter in (parameter for module in modules for parameter in module.parameters()):
                if owner.setdefault(parameter, index) != index:
                    raise OptionError(key, f"{wanted!r} has parameters that an earlier group has too")
    rest = [parameter for parameter in trained if parameter not in owner]
    members = [[parameter for parameter in trained if owner.get(parameter) == index] for index in range(len(groups))]
    listed = [{"params": chosen, **group.options} for chosen, group in zip(members, groups, strict=True)]
    return [{"params": rest}, *listed] if rest else listed


def _check_optimizer(recipe: Recipe, translator: Translator, phase: str, report: Report) -> None:
    try:
        make_optimizer(recipe, translator, phase)
    except VALUE_NEEDED:
        return
    except BuildError as error:
        problem = _problem(recipe, error)
        report(("optimizers", phase), problem.message)
    except OptionError as error:
        report(tuple(error.option.split(".")), error.message)


def _check_schedule(recipe: Recipe, report: Report) -> None:
    try:
        factor: object = recipe.schedule(steps=recipe.train.steps)(0)
    except BuildError as error:
        report(("schedule", error.option) if error.option else ("schedule",), error.message)
        return
    if not isinstance(factor, Real):
        report(("schedule",), f"{recipe.schedule.name!r}: expected a number for each step, got {factor!r} for step 0")


def _check_honoured(recipe: Recipe, translator: Translator, report: Report) -> None:
    """Report options of the table `[train]` that have no effect, or fail, with this translator and data."""
    train, name = recipe.train, recipe.translator.name
    if isinstance(train.ema, Averaging) and (train.ema.half_life is None) == (train.ema.decay is None):
        report(("train", "ema"), "expected either half_life or decay")
    if train.ema is not None and not translator.inference_modules:
        report(("train", "ema"), f"translator {name!r} has no inference_modules, so no weights would be averaged")
    if train.gradient_checkpointing and not sum(map(recompute_blocks, trained_networks(translator))):
        message = "no network has blocks that can be recomputed, so it would change nothing; remove the option"
        report(("train", "gradient_checkpointing"), message)
    if train.sample_every and type(translator).preview is Translator.preview:
        report(("train", "sample_every"), f"translator {name!r} has no preview; write 0")
    if train.keep_best is not None and "/" not in train.keep_best:
        terms = [f"{call.phase}/{loss}" for loss, plan in recipe.losses.items() for call in plan.calls]
        example = f"; name a logged term instead, such as {terms[0]}" if terms else ""
        compares = getattr(METRIC(train.keep_best).component, "compares", "pairs")
        if compares == "pairs" and not has_ground_truth(recipe.data.component):
            message = f"{train.keep_best!r} needs a data set with held-out pairs, which {recipe.data.name!r} has not"
            report(("train", "keep_best"), f"{message}{example}")
        elif compares == "pairs" and translator.requires_condition:
            message = (
                f"{train.keep_best!r} compares one translation with its target, and {name!r} has one for each style"
            )
            report(("train", "keep_best"), f"{message}{example}")


def _assembled(
    recipe: Recipe,
    with_losses: bool = True,
    skip_inconclusive: bool = False,
    streams: Mapping[str, Stream] | None = None,
) -> Translator:
    """Build the translator and its losses, and freeze parameters.

    Args:
        recipe: the checked recipe.
        with_losses: whether to build losses.
        skip_inconclusive: whether to skip losses whose constructor reads values of tensors.
        streams: specification of each stream of the data, by name; that of the recipe when None.
    """
    try:
        translator = recipe.translator(streams=streams or recipe.streams)
        if not isinstance(translator, Translator):
            raise BuildError(recipe.translator, "", "does not extend i2i.Translator")
    except BuildError as error:
        if isinstance(error.__cause__, VALUE_NEEDED):
            raise error.__cause__ from None
        raise recipe.source.error([_problem(recipe, error)]) from error
    losses: dict[str, tuple[nn.Module, tuple[Call, ...]]] = {}
    problems: list[Problem] = []
    for name, plan in recipe.losses.items() if with_losses else ():
        try:
            loss: object = plan.build()
            if not isinstance(loss, nn.Module):
                raise BuildError(plan.factory, "", f"expected a torch.nn.Module, got {type(loss).__name__}")
            losses[name] = loss, plan.calls
        except VALUE_NEEDED:
            if not skip_inconclusive:
                raise
        except BuildError as error:
            if not (skip_inconclusive and isinstance(error.__cause__, VALUE_NEEDED)):
                problems.append(_problem(recipe, error))
    if problems:
        raise recipe.source.error(problems)
    freeze(recipe, translator)
    add_adapters(recipe, translator)
    translator.streams = dict(
        streams or recipe.streams
    )  # also for translators whose constructor has no parameter `streams`
    translator.set_losses(losses)
    return translator


def _example(recipe: Recipe, translator: Translator) -> dict[str, torch.Tensor]:
    """Return tensors with the shapes and types of a micro-batch."""
    count = recipe.train.batch_size
    try:
        return {name: example_input(translator.streams[name], count) for name in translator.required_streams}
    except RuntimeError as error:
        raise recipe.source.error([recipe.source.problem(("data", "size"), f"too large: {error}")]) from error


def example_input(stream: Stream, count: int) -> torch.Tensor:
    """Return `count` uninitialized samples of a stream, for shapes and types: [count, C, H, W], or labels [count].

    Args:
        stream: specification; a stream without a fixed size gets 64 x 64 pixels.
        count: number of samples.
    """
    if stream.role == "label":
        return torch.zeros(count, *(stream.size or ()), dtype=torch.long)
    return torch.empty(count, stream.channels, *(stream.size or (64, 64)))


def _problem(recipe: Recipe, error: BuildError) -> Problem:
    factory = error.factory
    if error.option in factory.options:
        return recipe.source.problem((*factory.path, error.option), error.message)
    return recipe.source.problem(factory.path, str(error))


def _failures(translator: Translator, batch: Batch) -> Iterator[tuple[str, str]]:
    """Yield the name of each loss that cannot be computed in a step, with the reason."""
    calls = [(name, call) for name, calls in translator.calls.items() for call in calls]
    for phase in translator.phases:
        for name, call in calls:
            if call.phase == phase and (message := _failure(translator, batch, name, call)):
                yield name, message


def _failure(translator: Translator, batch: Batch, name: str, call: Call) -> str:
    """Return why a loss cannot be computed; empty if it can, or if that depends on values."""
    try:
        for value in translator.loss_value(name, call, translator.start_phase(batch, call.phase)).values():
            if not isinstance(value, torch.Tensor) or value.numel() != 1:
                got = f"a tensor {list(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
                return f"{call.method} returns {got}, expected a tensor with one element"
    except VALUE_NEEDED:
        return ""
    except I2IError as error:
        return str(error).removeprefix(f"losses.{name}: ")
    except Exception as error:  # the loss of a plugin may raise any exception, which training would raise too
        if "tensor subclass" in str(error):
            return ""  # the loss converts tensors to NumPy, which needs their values
        if isinstance(error, AttributeError) and isinstance(error.obj, torch.Tensor) and error.name in _WRAPPED:
            return f"cannot be computed: {_WRAPPED[error.name]}, got a tensor"
        return f"cannot be computed: {type(error).__name__}: {' '.join(str(error).split())}"
    return ""
