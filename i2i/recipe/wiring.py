"""How a loss is wired: which method plays in which phase, and which output feeds which parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from i2i.core.factory import Factory
from i2i.core.signature import named, options
from i2i.core.spelling import did_you_mean, nearest
from i2i.recipe.source import SCHEDULE

Report = Callable[[tuple[str, ...], str], None]
"""Takes a key path below the loss's table, and what is wrong there."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class WeightSchedule:
    """A weight that changes linearly with the step, then stays: `{ from = 1, to = 0, over = 100_000 }`.

    It is a function of the step alone, so a resumed run continues with the right weight.

    Args:
        from_: weight at step 0; written `from`.
        to: weight from step `over` on.
        over: number of steps from one to the other.

    Example:
        >>> schedule = WeightSchedule(2, 0, over=4)
        >>> [schedule.at(step) for step in (0, 1, 4, 9)]
        [2.0, 1.5, 0.0, 0.0]
    """

    from_: float
    to: float
    over: int

    def __str__(self) -> str:
        return f"{self.from_:g} to {self.to:g} over {self.over:,} steps"

    def at(self, step: int) -> float:
        """The weight at a step, counted from 0."""
        return self.from_ + (self.to - self.from_) * min(1.0, step / self.over)


Scheduled = float | WeightSchedule


def weight_at(weight: Scheduled, step: int) -> float:
    """A constant or scheduled weight at a step."""
    return weight.at(step) if isinstance(weight, WeightSchedule) else weight


@dataclass(frozen=True)
class Wiring:
    """What a recipe may say of any loss, in addition to the loss's own options.

    Args:
        weight: factor of the loss, or a table of factors for phases and domains, which are multiplied; 1 for those
            that the table does not name. A factor may be a schedule, `{ from = 1, to = 0, over = 100_000 }`, which is
            linear in the step. A loss is not computed at steps where its weight is 0.
        only: domain, or domains, for which the loss is computed. None for all.
        inputs: output that feeds a parameter, where the two have different names.
        phase: phase, or phases, of a loss that has only `forward`. None for the translator's default.
        every: the loss is computed in every n-th step. None for all steps.
        mask: output that weights the values of the loss, pixel by pixel, such as `mask`; for losses with an option
            `reduction`.
    """

    weight: Weight | dict[str, Weight | dict[str, Weight]] = 1.0
    only: str | tuple[str, ...] | None = None
    inputs: dict[str, str] | None = None
    phase: str | tuple[str, ...] | None = None
    every: Annotated[int, Field(ge=1)] | None = None
    mask: str | None = None


@dataclass(frozen=True)
class LossWeight:
    """Factor of a loss in one phase.

    Args:
        factor: factor of the sum over all domains.
        domains: factor of each domain for which the loss is computed, applied before the sum. None for all domains
            with the factor 1.
    """

    factor: Scheduled = 1.0
    domains: Mapping[str, Scheduled] | None = None

    def at(self, step: int) -> LossWeight | None:
        """The weight as numbers at a step, without domains where it is 0; None where nothing is left."""
        factor = weight_at(self.factor, step)
        if self.domains is None:
            return LossWeight(factor) if factor else None
        weights = {domain: weight_at(weight, step) for domain, weight in self.domains.items()}
        domains = {domain: weight for domain, weight in weights.items() if weight}
        return LossWeight(factor, domains) if factor and domains else None

    @property
    def schedules(self) -> dict[str, WeightSchedule]:
        """Scheduled factors by domain; that of all domains under the empty name."""
        factors = {"": self.factor, **(self.domains or {})}
        return {name: one for name, one in factors.items() if isinstance(one, WeightSchedule)}

    def mean(self, step: int) -> float:
        """Factor of a value at a step, averaged over the domains."""
        domains = [weight_at(weight, step) for weight in (self.domains or {"": 1.0}).values()]
        return weight_at(self.factor, step) * sum(domains) / len(domains)

    def has(self, key: str) -> bool:
        """Whether the loss is computed for a domain, or for a key `domain/discriminator/head`."""
        return self.domains is None or key.partition("/")[0] in self.domains

    def term(self, values: Mapping[str, Any], step: int) -> Any:
        """The weighted sum of a loss's values by domain (or by `domain/discriminator/head`) at a step."""
        factor, domains = weight_at(self.factor, step), self.domains
        if domains is None:
            return sum(values.values()) * factor
        terms = (value * weight_at(domains[key.partition("/")[0]], step) for key, value in values.items())
        return sum(terms) * factor


@dataclass(frozen=True)
class Call:
    """One method of a loss in one phase: `weight * method(parameter=output, ...)`.

    Args:
        phase: phase in which the method is called.
        method: name of the loss's method.
        weight: factor of its values.
        inputs: output that feeds each parameter of the method.
        every: it is called in every n-th step.
        mask: output that weights its values; they are then those of every pixel, and not their mean.
    """

    phase: str
    method: str
    weight: LossWeight
    inputs: Mapping[str, str]
    every: int = 1
    mask: str | None = None


@dataclass(frozen=True)
class LossPlan:
    """A loss, chosen and wired but not built yet."""

    factory: Factory[Any]
    wiring: Wiring
    calls: tuple[Call, ...]

    def build(self) -> Any:
        """The loss; one that is weighted by a mask returns a value for every pixel."""
        if self.wiring.mask is None:
            return self.factory()
        return replace(self.factory, options={**self.factory.options, "reduction": "none"})()

    def resolved(self) -> dict[str, Any]:
        own = {name: value for name, value in self.factory.resolved().items() if name not in vars(self.wiring)}
        if self.wiring.mask is not None:
            own.pop("reduction", None)  # the mask decides it
        wiring = {name: _table(value) for name, value in vars(self.wiring).items() if value is not None}
        return {**own, **wiring}


def _table(value: Any) -> Any:
    """A value of a wiring as a recipe writes it: the steps of a schedule as an integer."""
    if isinstance(value, Mapping):
        return {name: int(item) if name == "over" else _table(item) for name, item in value.items()}
    return value


def _scheduled(weight: Any, path: tuple[str, ...], report: Report) -> Scheduled:
    """A weight as the recipe says it, a number or the table of a schedule."""
    if not isinstance(weight, Mapping):
        return float(weight)
    over = weight.get("over", 0)
    if weight.keys() != {*SCHEDULE} or isinstance(weight["from"], Mapping) or isinstance(weight["to"], Mapping):
        report(path, f"expected a schedule {{ from = 1, to = 0, over = 1000 }}, got the keys {', '.join(weight)}")
    elif isinstance(over, Mapping) or over < 1 or over != int(over):
        report((*path, "over"), f"expected a number of steps from 1 on, got {over:g}")
    else:
        return WeightSchedule(float(weight["from"]), float(weight["to"]), int(over))
    return 1.0


def _ever(weight: Scheduled) -> bool:
    """Whether a weight is above 0 at any step."""
    return max(weight.from_, weight.to) > 0 if isinstance(weight, WeightSchedule) else weight > 0


class Wirer:
    """Wires losses to one translator class.

    Args:
        translator: a class with `Outputs`, `phases`, `domains` and `default_phase`.
    """

    def __init__(self, translator: Any) -> None:
        self.phases: list[str] = list(translator.phases)
        self.default_phase: str = translator.default_phase
        self.domains: tuple[str, ...] = tuple(getattr(translator, "domains", ("a", "b")))
        self.stepping = [name for name, phase in translator.phases.items() if phase.optimizer is None]
        """Phases with an optimizer of their own."""
        self.aliases = {name: phase.alias or name for name, phase in translator.phases.items()}
        self.outputs_class = translator.Outputs

    @cached_property
    def outputs(self) -> list[str]:
        """Names that losses may ask for: the public properties of the translator's `Outputs`."""
        return sorted(output_names(self.outputs_class))

    def wire(self, factory: Factory[Any], wiring: Wiring, report: Report) -> tuple[Call, ...]:
        """The loss's calls; whatever does not fit is reported instead."""
        component = factory.component
        methods = self._methods(component)
        if methods and wiring.phase is not None:
            own = ", ".join(methods)
            report(("phase",), f"cannot be set here: {factory.name!r} itself says what it does in which phase ({own})")
        if not methods and not _has_forward(component):
            report((), f"{factory.name!r} has neither forward nor a method for a phase. {_list('Phases', self.phases)}")
            return ()
        if not methods:
            given = (wiring.phase,) if isinstance(wiring.phase, str) else wiring.phase
            methods = dict.fromkeys(given or (self.default_phase,), "forward")
            self._check_phases(given or (), report)
        weights = self._weights(wiring, methods, report)
        if not weights:
            return ()  # switched off: its inputs may belong to the translator of a recipe that this one extends
        parameters = {phase: named(getattr(component, method)) for phase, method in methods.items()}
        renamed = self._renamed(wiring.inputs or {}, {name for names in parameters.values() for name in names}, report)
        inputs = {phase: self._inputs(parameters[phase], renamed, factory.name, report) for phase in weights}
        self._check_mask(wiring.mask, factory, report)
        every, mask = wiring.every or 1, wiring.mask
        return tuple(
            Call(phase, methods[phase], weight, inputs[phase], every, mask) for phase, weight in weights.items()
        )

    def _check_mask(self, mask: str | None, factory: Factory[Any], report: Report) -> None:
        if mask is None:
            return
        if mask not in self.outputs:
            near, known = did_you_mean(mask, self.outputs), _list("Outputs", self.outputs)
            report(("mask",), f"no output {mask!r}.{near} {known}")
        if "reduction" not in options(factory.component):
            needs = "a mask weights the values of every pixel, and it has no option 'reduction' that would give them"
            report(("mask",), f"{factory.name!r} cannot be weighted by a mask: {needs}; l1 and l2 have it")
        elif "reduction" in factory.options:
            report(("reduction",), "cannot be set next to a mask, which averages the values itself")

    def _methods(self, component: Any) -> dict[str, str]:
        """By phase, the component's method for it: of the phase's own name, or of that which it plays as."""
        names = {phase: (phase, self.aliases[phase]) for phase in self.phases}
        found = {
            phase: [one for one in both if callable(getattr(component, one, None))] for phase, both in names.items()
        }
        return {phase: methods[0] for phase, methods in found.items() if methods}

    def _check_phases(self, phases: Iterable[str], report: Report) -> None:
        for phase in phases:
            if phase not in self.phases:
                near, known = did_you_mean(phase, self.phases), _list("Phases", self.phases)
                report(("phase",), f"no phase {phase!r}.{near} {known}")

    def _weights(self, wiring: Wiring, methods: Iterable[str], report: Report) -> dict[str, LossWeight]:
        """The weight in each phase in which the loss is computed."""
        only = (wiring.only,) if isinstance(wiring.only, str) else wiring.only
        for domain in only or ():
            if domain not in self.domains:
                near, known = did_you_mean(domain, self.domains), _list("Domains", self.domains)
                report(("only",), f"no domain {domain!r}.{near} {known}")
        if isinstance(wiring.weight, dict) and not wiring.weight.keys() & {*SCHEDULE}:
            given = {name: _scheduled(weight, ("weight", name), report) for name, weight in wiring.weight.items()}
        else:
            given = dict.fromkeys(methods, _scheduled(wiring.weight, ("weight",), report))
        for name in given:
            if name in methods and name in self.domains:
                report(("weight", name), f"the weight is ambiguous: {name!r} is a phase and a domain")
            elif name not in methods and name not in self.domains:
                near = did_you_mean(name, [*methods, *self.domains])
                known = f"{_list('Its phases', methods)}; domains: {', '.join(self.domains)}"
                report(("weight", name), f"the loss has no phase and no domain {name!r}.{near} {known}")
            elif name in self.domains and only is not None and name not in only:
                report(("weight", name), f"the loss is computed only for {' and '.join(only)}")
        domains = None
        if only is not None or any(domain in given for domain in self.domains):
            all_domains = {domain: given.get(domain, 1.0) for domain in only or self.domains}
            domains = {domain: weight for domain, weight in all_domains.items() if _ever(weight)}
            if not domains:
                return {}
        factors = {phase: given.get(phase, 1.0) for phase in methods}
        return {phase: LossWeight(factor, domains) for phase, factor in factors.items() if _ever(factor)}

    def _renamed(self, inputs: Mapping[str, str], parameters: set[str], report: Report) -> dict[str, tuple[str, str]]:
        """By parameter, the key that renames it and its output; a misspelt key stands for what it looks like."""
        renamed = {}
        for key, output in inputs.items():
            if key not in parameters:
                near, known = did_you_mean(key, parameters), _list("Inputs", sorted(parameters))
                report(("inputs", key), f"the loss has no input {key!r}.{near} {known}")
            renamed[key if key in parameters else nearest(key, parameters - {*inputs}) or key] = (key, output)
            if output not in self.outputs:
                near, known = did_you_mean(output, self.outputs), _list("Outputs", self.outputs)
                report(("inputs", key), f"no output {output!r}.{near} {known}")
        return renamed

    def _inputs(
        self,
        parameters: Mapping[str, inspect.Parameter],
        renamed: Mapping[str, tuple[str, str]],
        loss: str,
        report: Report,
    ) -> dict[str, str]:
        inputs = {name: renamed[name][1] if name in renamed else name for name in parameters}
        fed = {name: output for name, output in inputs.items() if name in renamed or output in self.outputs}
        required = inspect.Parameter.empty
        missing = [name for name, one in parameters.items() if name not in fed and one.default is required]
        if missing:
            example = ", ".join(f"{name} = '...'" for name in missing)
            needs = f"{loss!r} needs {' and '.join(map(repr, missing))}"
            known = _list("Outputs", self.outputs)
            report((), f"{needs}: say which outputs feed it, inputs = {{ {example} }}. {known}")
        elif not fed:
            report((), f"{loss!r} takes no output, so it would be wired to nothing. {_list('Outputs', self.outputs)}")
        return fed


def _has_forward(component: Any) -> bool:
    forward = getattr(component, "forward", None)
    # torch.nn.Module itself has a forward, whose name says that it is none
    return callable(forward) and getattr(forward, "__name__", "") != "_forward_unimplemented"


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
