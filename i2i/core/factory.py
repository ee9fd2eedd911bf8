"""A component that is chosen and checked but not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from i2i.core.registry import Kind, Registry
from i2i.core.signature import options as declared_options
from i2i.errors import I2IError, OptionError

T = TypeVar("T", covariant=True)


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
        registry: where to look the name up; the process's own when None.
        path: key path in the recipe that chose it; empty for a constructor's default.
    """

    kind: Kind[T]
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    registry: Registry | None = field(default=None, compare=False, repr=False)
    path: tuple[str | int, ...] = field(default=(), compare=False, repr=False)

    @property
    def component(self) -> Any:
        """The class or function that will be called."""
        from i2i.core.plugins import (
            default_registry,  # loading plugins needs the registry, which needs to know no plugin
        )

        return (self.registry or default_registry()).get(self.kind, self.name).load()

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
        more = {name: value for name, value in offered.items() if name in declared}
        try:
            built: T = component(*passed, **{**more, **self.options})
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
            name: self.options.get(name, option.default)
            for name, option in declared_options(self.component).items()
            if name not in skipped and (name in self.options or is_plain(option.default))
        }
        return {"type": self.name, **{name: plain(value) for name, value in values.items()}}


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


def _is_table(value: Any) -> bool:
    """Whether a value is a dataclass's object, which a recipe writes as a table of its fields."""
    return is_dataclass(value) and not isinstance(value, type | Factory)
