"""Parameters that a recipe freezes, and low-rank adapters on frozen weights."""

from __future__ import annotations

from fnmatch import fnmatchcase

from i2i.core.spelling import did_you_mean
from i2i.methods.translator import Translator
from i2i.nn.layers.low_rank import LAYERS, adapt
from i2i.recipe.recipe import Recipe


def matches(name: str, pattern: str) -> bool:
    """Return whether a pattern matches the name of a tensor, or that of a module that holds it.

    Args:
        name: name of the tensor in the state dict.
        pattern: pattern with the wildcards `*`, `?` and `[...]`.
    """
    return any(fnmatchcase(name, wanted) for wanted in (pattern, f"{pattern}.*"))


def freeze(recipe: Recipe, translator: Translator) -> None:
    """Freeze the parameters that `train.freeze` names.

    Raises:
        RecipeError: a pattern matches no parameter, or all parameters of a phase are frozen.
    """
    parameters = dict(translator.named_parameters())
    problems = []
    for pattern in recipe.train.freeze:
        frozen = [parameter for name, parameter in parameters.items() if matches(name, pattern)]
        for parameter in frozen:
            parameter.requires_grad_(False)
        if not frozen:
            modules = [name for name, _ in translator.named_modules() if name]
            fix = did_you_mean(pattern, [*modules, *parameters]) or " It names modules or parameters of the translator."
            problems.append(f"{pattern!r} matches no parameter.{fix}")
    if recipe.train.freeze and not problems:
        for phase, trained in translator.phases.items():
            if not any(translator.trainable[name] for name in trained.modules):
                problems.append(f"nothing is left to train in the phase {phase!r}")
    if problems:
        raise recipe.source.error([recipe.source.problem(("train", "freeze"), problem) for problem in problems])


def add_adapters(recipe: Recipe, translator: Translator) -> None:
    """Give the modules that `train.adapter` names low-rank adapters, and freeze everything else in them.

    Raises:
        RecipeError: a pattern matches no trained convolution or linear layer.
    """
    options = recipe.train.adapter
    if options is None:
        return
    trained = {id(parameter) for parameters in translator.trainable.values() for parameter in parameters}
    del translator.trainable  # read again once the adapters are there
    modules = {name: module for name, module in translator.named_modules() if not name.startswith("losses.")}
    layers = {
        name: module for name, module in modules.items() if isinstance(module, LAYERS) and id(module.weight) in trained
    }
    problems = []
    chosen: set[str] = set()
    for pattern in options.modules:
        found = {name for name in layers if matches(name, pattern)}
        chosen |= found
        if not found:
            problems.append(
                f"{pattern!r} matches no trained convolution or linear layer.{did_you_mean(pattern, modules)}"
            )
    if problems:
        raise recipe.source.error([recipe.source.problem(("train", "adapter"), problem) for problem in problems])
    frozen = [
        name
        for name, parameter in translator.named_parameters()
        if id(parameter) in trained and any(matches(name, pattern) for pattern in options.modules)
    ]
    for name in frozen:
        translator.get_parameter(name).requires_grad_(False)
    for name in sorted(chosen):
        adapt(layers[name], options.rank, options.alpha)
    translator.adapted = frozenset(frozen)
