"""Which of a recipe's switches make it need less memory, those that cost least in quality first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from i2i.core.factory import Factory
from i2i.core.kinds import GENERATOR
from i2i.core.signature import options
from i2i.errors import I2IError
from i2i.methods.assembly import count_parameters
from i2i.recipe.recipe import Recipe

Settings = tuple[str, ...]
"""`key=value` each, as `--set` takes them."""
LIGHTER = 0.75
"""Share of the parameters below which a generator's switch counts as one that saves memory."""


def switches(recipe: Recipe, changed: Callable[[Settings], Recipe]) -> list[Settings]:
    """Settings to try, one by one and together, from none at all to half the size.

    Recomputing features changes nothing but time; bf16 rounds; smaller micro-batches change what batch norms see; a
    lighter generator and smaller images are another training.

    Args:
        changed: the recipe with further settings.
    """
    train, size = recipe.train, recipe.image_size
    recompute: Settings = () if train.gradient_checkpointing else ("train.gradient_checkpointing=true",)
    rounded: Settings = ("train.precision=bf16",) if train.precision in ("fp32", "fp64") else ()
    together = train.batch_size * train.accumulate
    split: Settings = ("train.batch_size=1", f"train.accumulate={together}") if train.batch_size > 1 else ()
    small: Settings = (f"data.size={size // 2}", *_load_size(recipe))
    light: Settings = next(lighter(recipe, changed), ())
    free = (*recompute, *rounded)
    found = [(), recompute, rounded, free]
    found += [split, (*free, *split)] if split else []
    found += [light, (*free, *split, *light)] if light else []
    found += [small, (*free, *split, *small), (*free, *split, *light, *small)]
    return list(dict.fromkeys(found))


def lighter(recipe: Recipe, changed: Callable[[Settings], Recipe]) -> Iterator[Settings]:
    """Switches of the generators that make the networks much smaller, whatever they are called."""
    whole = sum(count_parameters(recipe).values())
    for factory in _generators(recipe.translator.options):
        for name, option in options(factory.component).items():
            if option.annotation is not bool or not factory.path:
                continue
            value = factory.options.get(name, option.default)
            setting = f"{'.'.join(map(str, factory.path))}.{name}={str(not value).lower()}"
            try:
                count = sum(count_parameters(changed((setting,))).values())
            except I2IError:
                continue  # it does not go together with the rest
            if count < LIGHTER * whole:
                yield (setting,)


def _generators(value: Any) -> Iterator[Factory[Any]]:
    if isinstance(value, Factory):
        if value.kind == GENERATOR:
            yield value
        yield from _generators(value.options)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _generators(inner)


def _load_size(recipe: Recipe) -> Settings:
    """The side before the crop, where the recipe says it."""
    side = recipe.data.options.get("load_size")
    return () if side is None else (f"data.load_size={int(side) // 2}",)
