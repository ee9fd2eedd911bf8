"""A component that is chosen and checked but not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from i2i.errors import I2IError, RegistryError
from i2i.registry import Kind, Registry
from i2i.signature import options as declared_options

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Factory(Generic[T]):
    """Builds a component of one kind each time it is called.

    As an annotation, `norm: Factory[Norm]` declares that a recipe may choose a norm there.

    Args:
        kind: the kind that the name belongs to.
        name: the registered name, or a class named in full.
        options: what the recipe sets; everything else keeps the constructor's default.
        registry: where to look the name up; the process's own when None.
    """

    kind: Kind[T]
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    registry: Registry | None = field(default=None, compare=False, repr=False)

    @property
    def component(self) -> Any:
        """The class or function that will be called."""
        from i2i.plugins import default_registry  # loading plugins needs the registry, which needs to know no plugin

        return (self.registry or default_registry()).get(self.kind, self.name).load()

    def __call__(self, *passed: Any, **offered: Any) -> T:
        """Builds one.

        Args:
            passed: the kind's leading parameters, by position.
            offered: given only to a component that declares them; what the recipe sets wins.

        Raises:
            I2IError: the constructor refused; says which component.
        """
        component = self.component
        declared = declared_options(component)
        more = {name: value for name, value in offered.items() if name in declared}
        try:
            built: T = component(*passed, **{**more, **self.options})
        except I2IError:
            raise
        except (TypeError, ValueError) as error:
            raise RegistryError(f"{self.kind} {self.name!r} cannot be built with {dict(self.options)}: {error}") from error
        return built

    def resolved(self) -> dict[str, Any]:
        """Its name and every option, defaults included, as plain values that TOML can hold."""
        skipped = {*self.kind.passed, *self.kind.offered}
        values = {
            option.name: self.options.get(option.name, option.default)
            for option in declared_options(self.component).values()
            if option.name not in skipped and not (option.required and option.name not in self.options)
        }
        return {"type": self.name, **{name: plain(value) for name, value in values.items()}}


def plain(value: Any) -> Any:
    """A value as TOML writes it: factories become tables, tuples arrays, paths strings and None `"none"`."""
    if isinstance(value, Factory):
        return value.resolved()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None:
        return "none"
    return value if isinstance(value, bool | int | float | str) else str(value)
