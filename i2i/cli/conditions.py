"""Conditions of a translation, such as styles, as they are written on the command line."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from i2i.core.spelling import did_you_mean

if TYPE_CHECKING:
    from i2i.methods.translator import Translator

BLEND = "STYLE=WEIGHT,STYLE=WEIGHT with weights >= 0, such as 0=0.7,3=0.3 or one.png=1,two.png=1"
Key = TypeVar("Key", bound=Hashable)


def conditions_of(
    translator: Translator, style: str | None, seed: int | None, blend: str | None, more: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Return the conditions of each output, by the suffix of the output's name.

    Args:
        translator: parses `--style` itself.
        style: `--style`.
        seed: `--seed`.
        blend: `--blend`.
        more: `--with`, `NAME=VALUE` each.
    """
    common = named_conditions(type(translator).translate, translator.conditions(), more)
    common |= {} if seed is None else {"seed": seed}
    common |= {} if blend is None else {"blend": weights_by(style_of, blend, "--blend", BLEND)}
    if style is None:
        return {"": common}
    return {mark: {**common, "style": value} for mark, value in translator.parse_style(style).items()}


def weights_by(parse: Callable[[str], Key], text: str, option: str, expected: str) -> dict[Key, float]:
    """Parse `0=0.7,3=0.3`: finite weights by key, of which one at least is above 0.

    Args:
        parse: converts the text of a key; raises ValueError for one that is not valid.
        text: value of the option.
        option: name of the option, for messages.
        expected: what the option takes, for messages.
    """
    found: dict[Key, float] = {}
    for part in text.split(","):
        name, _, written = part.rpartition("=")
        try:
            key, weight = parse(name.strip()), float(written)
        except ValueError:
            weight = math.nan
        if not (math.isfinite(weight) and weight >= 0):
            raise click.BadParameter(f"expected {expected}, got {text!r}", param_hint=option)
        if key in found:
            raise click.BadParameter(f"{name.strip()} occurs twice", param_hint=option)
        found[key] = weight
    if not any(found.values()):
        raise click.BadParameter(f"expected a weight above 0, got {text!r}", param_hint=option)
    return found


def style_of(name: str) -> Any:
    """Return a style's number, the path of an image, or a name that the method knows."""
    if not name:
        raise ValueError("empty")
    return int(name) if name.isdecimal() else Path(name) if Path(name).is_file() else name


def named_conditions(method: Callable[..., Any], names: list[str], more: tuple[str, ...]) -> dict[str, Any]:
    """Parse `--with NAME=VALUE` options.

    Args:
        method: the translator's method that takes the conditions.
        names: those of its parameters that are conditions.
        more: the options.
    """
    from i2i.core.signature import options
    from i2i.recipe.values import MismatchError, fit

    known = options(method)
    found = {}
    for text in more:
        name, equals, written = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in names:
            near = did_you_mean(name, names) if equals else ""
            takes = f"conditions of this translator: {', '.join(names)}" if names else "this translator has none"
            raise click.BadParameter(f"expected NAME=VALUE, got {text!r}.{near} {takes}", param_hint="--with")
        if Path(written).is_file():
            found[name] = Path(written)
            continue
        try:
            found[name] = fit(_value(written), known[name].annotation)
        except MismatchError as error:
            raise click.BadParameter(f"{name}: {error}", param_hint="--with") from error
    return found


def _value(written: str) -> Any:
    """Parse a value as TOML, or else as bare text."""
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written
