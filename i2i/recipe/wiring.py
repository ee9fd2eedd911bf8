"""How a loss is wired: which method plays in which phase, and which output feeds which parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from i2i.factory import Factory
from i2i.registry import did_you_mean
from i2i.signature import named

Report = Callable[[tuple[str, ...], str], None]
"""Takes a key path below the loss's table, and what is wrong there."""

Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Wiring:
    """What a recipe may say of any loss, beside the loss's own options.

    Args:
        weight: factor of the loss, or one for each phase; a loss of weight 0 is never computed.
        inputs: output that feeds a parameter, where the two have different names.
        phase: when a loss that has `forward` alone is computed; the translator's own choice when None.
    """

    weight: Weight | dict[str, Weight] = 1.0
    inputs: dict[str, str] | None = None
    phase: str | None = None


@dataclass(frozen=True)
class Call:
    """One method of a loss in one phase: `weight * method(parameter=output, ...)`."""

    phase: str
    method: str
    weight: float
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class LossPlan:
    """A loss, chosen and wired but not built yet."""

    factory: Factory[Any]
    wiring: Wiring
    calls: tuple[Call, ...]

    def resolved(self) -> dict[str, Any]:
        extra: dict[str, Any] = {"weight": self.wiring.weight}
        if self.wiring.inputs:
            extra["inputs"] = dict(self.wiring.inputs)
        if self.wiring.phase:
            extra["phase"] = self.wiring.phase
        return {**self.factory.resolved(), **extra}


class Wirer:
    """Wires losses to one translator class.

    Args:
        translator: a class with `Outputs`, `phases` and `default_phase`.
    """

    def __init__(self, translator: Any) -> None:
        self.phases: list[str] = list(translator.phases)
        self.default_phase: str = translator.default_phase
        self.outputs_class = translator.Outputs

    @cached_property
    def outputs(self) -> list[str]:
        """Names that losses may ask for: the public properties of the translator's `Outputs`."""
        return sorted(output_names(self.outputs_class))

    def wire(self, factory: Factory[Any], wiring: Wiring, report: Report) -> tuple[Call, ...]:
        """The loss's calls; whatever does not fit is reported instead."""
        component = factory.component
        methods = {phase: phase for phase in self.phases if callable(getattr(component, phase, None))}
        if methods and wiring.phase is not None:
            report(("phase",), f"is not used: {factory.name!r} itself says what it does in {', '.join(methods)}")
        if not methods:
            methods = {wiring.phase or self.default_phase: "forward"}
        self._check_names(component, methods, wiring, report)
        calls = []
        for phase, method in methods.items():
            weight = wiring.weight.get(phase, 1.0) if isinstance(wiring.weight, dict) else wiring.weight
            if weight > 0:
                inputs = dict(self._inputs(getattr(component, method), wiring.inputs or {}, factory.name, report))
                calls.append(Call(phase, method, weight, inputs))
        return tuple(calls)

    def _check_names(self, component: Any, methods: dict[str, str], wiring: Wiring, report: Report) -> None:
        phases = list(wiring.weight) if isinstance(wiring.weight, dict) else []
        for phase in phases:
            if phase not in methods:
                report(("weight", phase), f"no phase {phase!r} here.{did_you_mean(phase, methods)} {_list('Phases', methods)}")
        if wiring.phase is not None and wiring.phase not in self.phases:
            near = did_you_mean(wiring.phase, self.phases)
            report(("phase",), f"no phase {wiring.phase!r}.{near} {_list('Phases', self.phases)}")
        parameters = {name for method in methods.values() for name in named(getattr(component, method))}
        for name in wiring.inputs or {}:
            if name not in parameters:
                near = did_you_mean(name, parameters)
                report(("inputs", name), f"the loss has no input {name!r}.{near} {_list('Inputs', sorted(parameters))}")

    def _inputs(
        self, method: Any, renamed: Mapping[str, str], loss: str, report: Report
    ) -> Iterator[tuple[str, str]]:
        for name, parameter in named(method).items():
            output = renamed.get(name, name)
            if output in self.outputs:
                yield name, output
            elif name in renamed:
                near = did_you_mean(output, self.outputs)
                report(("inputs", name), f"no output {output!r}.{near} {_list('Outputs', self.outputs)}")
            elif parameter.default is inspect.Parameter.empty:
                near = did_you_mean(name, self.outputs)
                report(
                    (),
                    f"{loss!r} needs {name!r}, which is no output.{near} "
                    f"Say which one feeds it: inputs = {{ {name} = ... }}. {_list('Outputs', self.outputs)}",
                )


def output_names(outputs: type) -> set[str]:
    """The public properties of an `Outputs` class."""
    return {
        name
        for base in outputs.__mro__
        for name, value in vars(base).items()
        if not name.startswith("_") and isinstance(value, property | cached_property)
    }


def _list(what: str, names: Any) -> str:
    return f"{what}: {', '.join(names)}"
