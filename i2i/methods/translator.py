"""What every translator is: networks by name, phases that train them, and losses that ask for outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from i2i.core.contracts import Discriminator, GeneratorOutput
from i2i.core.signature import named
from i2i.errors import TrainingError
from i2i.methods import outputs
from i2i.methods.blending import random_or_image
from i2i.methods.networks import called
from i2i.methods.outputs import Batch
from i2i.nn.functional.precision import upcast
from i2i.recipe.wiring import Call


class Translator(nn.Module):
    """Base of all translators.

    `forward` is the one call that a wrapper such as DistributedDataParallel sees, once per phase.
    """

    Outputs: ClassVar[type[outputs.Outputs]]
    """What exists for a batch."""
    phases: Mapping[str, tuple[str, ...]]
    """Submodules that each phase trains, in the order of a step."""
    generator_modules: ClassVar[tuple[str, ...]]
    """Submodules whose images live through the step."""
    default_phase: ClassVar[str] = "generator"
    """Where a loss plays that has `forward` alone."""
    every: ClassVar[Mapping[str, int]] = {}
    """Phases that run only in each n-th step."""
    shares: ClassVar[Mapping[str, str]] = {}
    """Phases that step with another phase's optimizer, and with which; that one must train all that they train."""
    phase_alias: ClassVar[Mapping[str, str]] = {}
    """Phases in which a loss that has no method of that name plays as in another phase, and as in which."""
    domains: ClassVar[tuple[str, ...]] = ("a", "b")
    streams: ClassVar[tuple[str, ...]] = ("a", "b")
    """What a batch must hold: images of the domains, and whatever else the method looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = nn.ModuleDict()
        self.calls: dict[str, tuple[Call, ...]] = {}
        self.summed: dict[str, int] = {}
        """How many values the last step's terms are the sum of, by `phase/name`."""

    def wire(self, losses: Mapping[str, tuple[nn.Module, tuple[Call, ...]]]) -> None:
        """Gives the translator its losses, each with the calls that the recipe's check found."""
        for name, (loss, calls) in losses.items():
            self.losses[name] = loss
            self.calls[name] = calls

    def needs_output(self, *beginnings: str) -> bool:
        """Whether any loss of any phase asks for an output whose name begins so."""
        calls = (call for calls in self.calls.values() for call in calls)
        return any(output.startswith(beginnings) for call in calls for output in call.inputs.values())

    def active(self, step: int) -> list[str]:
        """Return the phases of a step, in order; a phase may occur several times, each with new fakes."""
        return [phase for phase in self.phases if step % self.every.get(phase, 1) == 0]

    def forward(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Weighted loss terms of one phase by the recipe's names; their sum is what the phase minimizes."""
        found = {name: parts for name, parts in self.loss_values(batch, phase).items() if parts}
        self.summed |= {f"{phase}/{name}": len(parts) for name, parts in found.items()}
        return {name: cast(Tensor, sum(parts.values()) * self._weight(name, phase)) for name, parts in found.items()}

    def loss_values(self, batch: Batch, phase: str) -> dict[str, dict[str, Tensor]]:
        """Unweighted loss values of one phase: by loss, then by domain (or `domain/discriminator/head`).

        A loss that lacks an output at this step (see `Outputs`), or that rests in it, has none.
        """
        made = self._enter(batch, phase)
        details = {
            name: self._call(name, call, made) for name, call in self._calls(phase) if batch.step % call.every == 0
        }
        if self._generator_modules_in(phase):
            made.detach_()  # the values keep the graph; later phases of this step only look at the images
        return details

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        """Translates images [B, 3, H, W] in [-1, 1] to a domain.

        A translator that can be told more, such as a style, takes it as further parameters with defaults; images
        come as tensors [1, 3, H, W], everything else as the user wrote it.
        """
        raise NotImplementedError

    @classmethod
    def conditions(cls) -> list[str]:
        """What `translate` can be told beside the image and the domain."""
        return [name for name in named(cls.translate) if name not in named(Translator.translate)]

    def parse_style(self, style: str) -> dict[str, Any]:
        """Values of the condition `style` that a written one asks for, by the mark that each output's name gets."""
        return random_or_image(style)

    @property
    def requires_condition(self) -> bool:
        """Whether `translate` must be told more than the domain, such as a style."""
        return False

    def randn(self, name: str, shape: Sequence[int], seed: int) -> Tensor:
        """Numbers from N(0, 1), drawn on the CPU, where every device gets the same.

        Args:
            name: what they are for, such as `generator/style/a`.
            seed: what they follow from, in which the name is counted already.
        """
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), device="cpu")

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Rows of a sample grid: caption, then domain of the input, then images [n, 3, H, W] in [-1, 1]."""
        raise NotImplementedError

    @property
    def targets(self) -> tuple[str, ...]:
        """Domains that `translate` can paint."""
        return self.domains

    @property
    def batch_dependent(self) -> bool:
        """Whether images are translated one at a time, because a norm would mix those of a batch."""
        modules = (module for name in self.generator_modules for module in self.get_submodule(name).modules())
        return any(getattr(module, "mixes_samples", False) for module in modules)

    @property
    def fixed_size(self) -> int | None:
        """The only side that `generator_modules` accept, or None if any size will do."""
        sizes = (getattr(maker, "fixed_size", None) for maker in self.networks(self.generator_modules))
        return next((size for size in sizes if size is not None), None)

    @property
    def multiple(self) -> int:
        """What both sides of an image must divide by, as the generator_modules say."""
        return max((int(getattr(maker, "multiple", 1)) for maker in self.networks(self.generator_modules)), default=1)

    def networks(self, names: Iterable[str] | None = None) -> list[nn.Module]:
        """What is called in submodules: of all that any phase trains when no names are given."""
        return list(called(map(self.get_submodule, self.submodules() if names is None else names)))

    def discriminators_of(self, domain: str) -> Mapping[str, Discriminator]:
        """The discriminators that judge a domain's images, by name."""
        return cast("Mapping[str, Discriminator]", cast(nn.ModuleDict, self.get_submodule(f"discriminators.{domain}")))

    def trained(self, phase: str) -> list[nn.Parameter]:
        """The parameters that a phase trains."""
        return [parameter for name in self.phases[phase] for parameter in self.get_submodule(name).parameters()]

    @torch.no_grad()
    def constrain_(self, phase: str) -> None:
        """Puts what the phase has trained back where it may be: modules clamp themselves in their own `constrain_`."""
        for name in self.phases[phase]:
            for module in self.get_submodule(name).modules():
                constrain = getattr(module, "constrain_", None)
                if constrain is not None and module is not self:
                    constrain()

    def at_step_(self, step: int) -> None:
        """Follows what changes with the step alone, such as progressive growing; also called before translating.

        Modules follow in their own `at_step_`, which are called here.
        """
        for module in self.modules():
            follow = getattr(module, "at_step_", None)
            if follow is not None and module is not self:
                follow(step)

    def reset_optimizers(self, step: int) -> Iterable[str]:
        """Phases whose optimizers begin anew at a step, as if they had never taken one; from the step alone."""
        return ()

    @property
    def structure_changes(self) -> tuple[int, ...]:
        """Steps from which on other networks work than before; a rehearsal tries each."""
        return (0,)

    def example_input(self, stream: str, size: int) -> Tensor:
        """One sample of a stream for the rehearsal, whose shape alone counts."""
        return torch.empty(1, 3, size, size)

    def check_data(self, dataset: object) -> None:
        """Refuses data whose properties do not fit, such as another number of styles; called before training."""

    def local_state(self) -> dict[str, Tensor]:
        """What belongs to this process alone and must survive a resume, such as image pools."""
        return {}

    def load_local_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `local_state` gave."""

    def _enter(self, batch: Batch, phase: str) -> outputs.Outputs:
        own = self._generator_modules_in(phase)
        graph = own or (
            self._next_generator_modules(phase) if batch.keep_graph and torch.is_grad_enabled() else frozenset()
        )
        for name in self.submodules():
            self.get_submodule(name).requires_grad_(
                name in (graph if name in self.generator_modules else self.phases[phase])
            )
        made = batch.outputs
        if made is None or (own and made.graph != own):
            made = batch.outputs = self.Outputs(self, batch)
            made.graph = graph
        made.enter(phase)
        return made

    def submodules(self) -> Iterable[str]:
        """Names of all that any phase trains, each once."""
        return dict.fromkeys(name for names in self.phases.values() for name in names)

    def _generator_modules_in(self, phase: str) -> frozenset[str]:
        return frozenset(self.generator_modules).intersection(self.phases[phase])

    def _next_generator_modules(self, phase: str) -> frozenset[str]:
        """Those that the next phase will train which trains any: images made now are for it, too."""
        order = list(self.phases)
        later = map(self._generator_modules_in, order[order.index(phase) + 1 :])
        return next(filter(None, later), frozenset())

    def _calls(self, phase: str) -> list[tuple[str, Call]]:
        return [(name, call) for name, calls in self.calls.items() for call in calls if call.phase == phase]

    def _weight(self, name: str, phase: str) -> float:
        return next(call.weight for call in self.calls[name] if call.phase == phase)

    def _call(self, name: str, call: Call, made: outputs.Outputs) -> dict[str, Tensor]:
        """Calls a loss once for each domain that all of its inputs have."""
        inputs = {parameter: getattr(made, output) for parameter, output in call.inputs.items()}
        if any(values is None for values in inputs.values()):
            return {}
        shared = [key for key in next(iter(inputs.values())) if all(key in values for values in inputs.values())]
        if not shared:
            found = "; ".join(f"{output}: {', '.join(inputs[p]) or 'none'}" for p, output in call.inputs.items())
            raise TrainingError(f"losses.{name}: its inputs share no domain ({found}), so it would never be computed")
        method = getattr(self.losses[name], call.method)
        if call.method == "forward":
            method = self.losses[name]  # hooks of a criterion run only through its call
        return {key: method(**{p: _wide(values[key]) for p, values in inputs.items()}) for key in shared}


def _wide(value: object) -> object:
    """Half-precision inputs as float32: losses sum over many pixels."""
    return upcast(value) if isinstance(value, Tensor) else value
