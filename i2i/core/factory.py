"""Kinds of components, and factories: a component that is chosen and checked but not built yet."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from i2i.core.signature import options as declared_options
from i2i.errors import I2IError, OptionError, RegistryError

T = TypeVar("T", covariant=True)


class Lookup(Protocol):
    """What a factory needs of a registry: the class or function of a name."""

    def component(self, kind: Kind[Any], name: str) -> Any: ...


_default_lookup: list[Callable[[], Lookup]] = []
"""Gives the process's registry. `i2i.core.plugins` sets it when i2i is imported; nothing changes it afterwards."""


def set_default_registry(lookup: Callable[[], Lookup]) -> None:
    """Sets where factories without a registry of their own look names up."""
    _default_lookup[:] = [lookup]


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A kind of component, such as norms or losses.

    Calling a kind names one of its components, which is how a constructor writes its default:
    `norm: Factory[Norm] = NORM("in")`.

    Args:
        name: name in recipes and messages: lower-case letters, digits and `_`.
        contract: the protocol (or class) that its components follow; `Factory[contract]` in a signature asks for this
            kind.
        passed: leading parameters that the caller gives by position, such as `num_features`. A recipe cannot set them.
        offered: parameters that the caller gives by name to those components that declare them. A recipe cannot set
            them either.
        suggested: parameters that the caller gives by name too, and that a recipe may set to something else, such as
            `in_channels`.
        namespaces: modules whose public classes may be named in full, such as `torch.nn.SmoothL1Loss`.
        adapters: pairs of such a full name and the `module:attribute` that is used in its place.

    Raises:
        RegistryError: an argument has another type.
    """

    name: str
    contract: type[T] = field(compare=False)
    passed: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    adapters: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            expected = "expected lower-case letters, digits and _, such as 'mapping_network'"
            raise RegistryError(f"a kind's name: {expected}, got {self.name!r}")
        if not isinstance(self.contract, type):
            raise RegistryError(f"kind {self.name!r}: contract: expected a protocol or a class, got {self.contract!r}")
        for argument in ("passed", "offered", "suggested", "namespaces"):
            names = getattr(self, argument)
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                hint = f"; write ({names!r},)" if isinstance(names, str) else ""
                raise RegistryError(f"kind {self.name!r}: {argument}: expected a tuple of strings, got {names!r}{hint}")

    def __call__(self, name: str, **options: Any) -> Factory[T]:
        return Factory(self, name, options)

    def __str__(self) -> str:
        return self.name.replace("_", " ")


class BuildError(OptionError):
    """A component refused to be built.

    Args:
        factory: of the component.
        option: that it blames; empty where it blames none.
        message: what was expected and what came.
    """

    def __init__(self, factory: Factory[Any], option: str, message: str) -> None:
        super().__init__(option, message)
        self.factory = factory

    def __str__(self) -> str:
        option = f"{self.option}: " if self.option else ""
        return f"{self.factory.kind} {self.factory.name!r}: {option}{self.message}"

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.factory, self.option, self.message)


@dataclass(frozen=True)
class Factory(Generic[T]):
    """Builds a component of one kind each time it is called.

    As an annotation, `norm: Factory[Norm]` declares that a recipe may choose a norm there.

    Args:
        kind: the kind that the name belongs to.
        name: the registered name, or a class named in full.
        options: what the recipe sets; everything else keeps the constructor's default.
        registry: where to look the name up. None for a constructor's default, which is looked up in the registry of
            the component that it is built for, or in the process's registry.
        path: key path in the recipe that chose it; empty for a constructor's default.
    """

    kind: Kind[T]
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    registry: Lookup | None = field(default=None, compare=False, repr=False)
    path: tuple[str | int, ...] = field(default=(), compare=False, repr=False)

    @property
    def component(self) -> Any:
        """The class or function that will be called."""
        return (self.registry or _default_lookup[0]()).component(self.kind, self.name)

    def __call__(self, *passed: Any, **offered: Any) -> T:
        """Builds one.

        Args:
            passed: the kind's leading parameters, by position.
            offered: given only to a component that declares them; what the recipe sets wins.

        Raises:
            BuildError: the constructor refused; says which component.
        """
        component = self.component
        declared = declared_options(component)
        # Defaults that are factories are passed explicitly, because they follow this factory's registry.
        arguments = {name: option.default for name, option in declared.items() if isinstance(option.default, Factory)}
        arguments |= {name: value for name, value in offered.items() if name in declared}
        arguments = self._bound({**arguments, **self.options})
        for name, value in arguments.items():  # options set from Python, which no recipe check has seen
            if isinstance(value, str) and name in declared and _is_path(value, declared[name].annotation):
                arguments[name] = Path(value)
        try:
            built: T = component(*passed, **arguments)
        except BuildError as error:
            if error.factory.path or not self.path:
                raise
            raise BuildError(self, "", str(error)) from error  # a default of this component: here is its nearest line
        except OptionError as error:
            raise BuildError(self, error.option, error.message) from error
        except I2IError:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
            raise BuildError(self, "", f"cannot be built: {error}") from error
        return built

    def resolved(self) -> dict[str, Any]:
        """Its name and every option, defaults included, as plain values that TOML can hold.

        A default that TOML cannot hold is left out: nothing else could be set there either.
        """
        skipped = {*self.kind.passed, *self.kind.offered}
        values = {
            name: self._bound(self.options.get(name, option.default))
            for name, option in declared_options(self.component).items()
            if name not in skipped
            and (name in self.options or (name not in self.kind.suggested and is_plain(option.default)))
        }
        return {"type": self.name, **{name: plain(value) for name, value in values.items()}}

    def _bound(self, value: Any) -> Any:
        """A value in which factories without a registry have this one's."""
        if isinstance(value, Factory):
            return replace(value, registry=self.registry) if value.registry is None else value
        if type(value) is tuple:
            return tuple(self._bound(item) for item in value)
        return {key: self._bound(item) for key, item in value.items()} if type(value) is dict else value


def is_plain(value: Any) -> bool:
    """Whether TOML can hold a value, as `plain` writes it."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    if _is_table(value):
        return is_plain(vars(value))
    return value is None or isinstance(value, bool | int | float | str | Path | Enum | Factory)


def plain(value: Any) -> Any:
    """A value as TOML writes it: factories and dataclasses become tables, tuples arrays and None `"none"`."""
    if isinstance(value, Factory):
        return value.resolved()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if _is_table(value):
        return plain(vars(value))
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None:
        return "none"
    return value if isinstance(value, bool | int | float | str) else str(value)


def _is_path(text: str, annotation: Any) -> bool:
    """Whether text stands for a path there, and not for itself as one of the annotation's literals."""
    alternatives = (annotation, *typing.get_args(annotation))
    literals = [value for choice in alternatives for value in typing.get_args(choice)]
    return Path in alternatives and str not in alternatives and text not in literals


def _is_table(value: Any) -> bool:
    """Whether a value is a dataclass's object, which a recipe writes as a table of its fields."""
    return is_dataclass(value) and not isinstance(value, type | Factory)
