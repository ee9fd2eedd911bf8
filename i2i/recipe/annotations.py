"""What an annotation asks for: components, and of which kinds, or plain values."""

from __future__ import annotations

import types
import typing
from typing import Any

from i2i.core.factory import Factory, Kind
from i2i.core.registry import Registry
from i2i.errors import RegistryError


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of `X | Y`, or the annotation alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def is_optional(annotation: Any) -> bool:
    """Whether None may stand there, which a recipe writes as `"none"`."""
    return types.NoneType in members(annotation)


def is_factory(annotation: Any) -> bool:
    """Whether the annotation is `Factory[X]`: a recipe chooses a component."""
    return typing.get_origin(annotation) is Factory


def holds_factory(annotation: Any) -> bool:
    """Whether a recipe chooses a component there, or in the items of a table or an array there."""
    return is_factory(annotation) or any(holds_factory(part) for part in typing.get_args(annotation))


def kinds_of(annotation: Any, registry: Registry) -> list[Kind[Any]]:
    """The kinds of component that an annotation allows.

    Raises:
        RegistryError: `Factory[X]` where X is no kind's contract.
    """
    kinds = []
    for contract in (typing.get_args(member)[0] for member in members(annotation) if is_factory(member)):
        kind = registry.kind_of(contract)
        if kind is None:
            name = getattr(contract, "__name__", contract)
            raise RegistryError(
                f"Factory[{name}] asks for no kind of component: expected the contract of a kind, such as i2i.Norm; "
                f"a plugin adds a kind for {name} with registry.add_kind"
            )
        kinds.append(kind)
    return kinds


def container_of(annotation: Any) -> tuple[bool, Any]:
    """Whether components stand in a table there (else in an array), and the annotation of one."""
    container = next(member for member in members(annotation) if holds_factory(member))
    arguments = typing.get_args(container)
    return (True, arguments[-1]) if typing.get_origin(container) is dict else (False, arguments[0])


def choices(annotation: Any) -> list[str]:
    """Every string of the `Literal`s in an annotation."""
    found: list[str] = []
    for member in members(annotation):
        if typing.get_origin(member) is typing.Literal:
            found += [choice for choice in typing.get_args(member) if isinstance(choice, str)]
        else:
            for part in typing.get_args(member):
                found += choices(part)
    return found
