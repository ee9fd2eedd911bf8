"""The base class of all methods: networks by name, phases that train them, losses that ask for outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from i2i.core.contracts import Batch, Discriminator, GeneratorOutput, Phase, Stream
from i2i.core.randomness import seed_of
from i2i.core.signature import named
from i2i.errors import ShapeError, TrainingError
from i2i.methods.blending import random_or_image
from i2i.methods.outputs import Outputs as BatchOutputs
from i2i.nn.functional.masking import masked_mean
from i2i.nn.functional.precision import upcast
from i2i.recipe.wiring import Call, LossWeight


class Translator(nn.Module):
    """Base class of all translators.

    A subclass sets `Outputs` and `phases`, builds its networks in its constructor, and implements `translate` and
    `preview`. `forward` is the one call that a wrapper such as DistributedDataParallel sees, once per phase.

    Args:
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.

    Parameters that a constructor freezes with `requires_grad_(False)` stay frozen: no phase trains them.
    """

    Outputs: ClassVar[type[BatchOutputs]]
    """Class of the outputs that losses can ask for."""
    phases: Mapping[str, Phase]
    """Phases of a step by name, in their order."""
    generator_modules: ClassVar[tuple[str, ...]]
    """Submodules whose images are generated once per step and seen by all of its phases."""
    default_phase: ClassVar[str] = "generator"
    """Phase of losses that have a `forward` method only."""
    domains: tuple[str, ...] = ("a", "b")
    """Domains of the images, in the order of the sample grid's columns; the instance may take them from its streams."""
    requires_pairs: ClassVar[bool] = False
    """Whether the losses compare a translation with the other image of its sample."""
    required_streams: Mapping[str, str] = {"a": "image", "b": "image"}
    """Streams that a batch must hold, each with its role; with the masks of the data if a loss is weighted by one."""

    def __init__(self, streams: Mapping[str, Stream] | None = None) -> None:
        super().__init__()
        assumed = {name: _assumed(role) for name, role in self.required_streams.items()}
        self.streams = dict(streams or assumed)
        self.losses = nn.ModuleDict()
        self.calls: dict[str, tuple[Call, ...]] = {}
        self.adapted: frozenset[str] = frozenset()
        """Names, in the state dict, of the frozen parameters of modules with low-rank adapters."""
        self.term_counts: dict[str, int] = {}
        """Number of values that each term of the last step sums, by `phase/name`."""

    def set_losses(self, losses: Mapping[str, tuple[nn.Module, tuple[Call, ...]]]) -> None:
        """Set the losses, by name, each with the calls that the recipe's check has derived for it."""
        for name, (loss, calls) in losses.items():
            self.losses[name] = loss
            self.calls[name] = calls
            if any(call.mask is not None for call in calls):
                masks = {stream: "mask" for stream, spec in self.streams.items() if spec.role == "mask"}
                self.required_streams = {**self.required_streams, **masks}

    def network_options(self, source: str, target: str | None = None) -> dict[str, Any]:
        """Return what networks are offered for the streams that they see: `in_channels`, `image_size`, and more.

        Components that declare a parameter of such a name get it, unless the recipe sets it.

        Args:
            source: stream of the input.
            target: stream of the output, whose channels are `out_channels`.
        """
        options: dict[str, Any] = {"in_channels": self.streams[source].channels}
        if target is not None:
            options["out_channels"] = self.streams[target].channels
        if (size := self.streams[target or source].size) is not None:
            options["image_size"] = size
        classes = [stream.channels for stream in self.streams.values() if stream.role == "label" and stream.channels]
        return options | ({"num_classes": classes[0]} if classes else {})

    def active_phases(self, step: int) -> list[str]:
        """Return the phases of a step in their order; a phase may occur several times, with new images each time."""
        return [name for name, phase in self.phases.items() if step % phase.every == 0]

    def forward(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Return the weighted loss terms of one phase by loss name; the phase minimizes their sum."""
        terms: dict[str, Tensor] = {}
        for name, values in self.loss_values(batch, phase).items():
            if values:
                weight = next(call.weight for call in self.calls[name] if call.phase == phase)
                terms[name] = weight.term(values, batch.step)
                self.term_counts[f"{phase}/{name}"] = len(values)
        return terms

    def loss_values(self, batch: Batch, phase: str) -> dict[str, dict[str, Tensor]]:
        """Return the unweighted values of one phase's losses: by loss, then by domain (or `domain/discriminator/head`).

        A loss has no values where it is skipped at this step, or where one of its inputs does not exist yet.
        """
        outputs = self.start_phase(batch, phase)
        values = {
            name: self.loss_value(name, call, outputs, weight)
            for name, calls in self.calls.items()
            for call in calls
            if call.phase == phase and batch.step % call.every == 0 and (weight := call.weight.at(batch.step))
        }
        if self._generators_in(phase):
            outputs.detach_()  # the values keep the graph; later phases of this step see the images only
        return values

    def start_phase(self, batch: Batch, phase: str) -> BatchOutputs:
        """Prepare a phase and return the outputs of a batch: networks that the phase does not train get no gradients.

        Images generated earlier in the step are reused, unless this phase trains their generator and they lack a graph.
        """
        generators = self._generators_in(phase)
        reachable = generators
        if not generators and torch.is_grad_enabled():
            # Images are generated now and trained on in the next phase that trains generator modules, if there is one.
            order = list(self.phases)
            upcoming = order[order.index(phase) + 1 :] if batch.upcoming is None else batch.upcoming
            reachable = next(filter(None, map(self._generators_in, upcoming)), frozenset())
        trained = self.phases[phase].modules
        for name, parameters in self.trainable.items():
            required = name in (reachable if name in self.generator_modules else trained)
            for parameter in parameters:
                parameter.requires_grad_(required)
        for module in self.modules():
            prepare = getattr(module, "start_phase_", None)
            if prepare is not None:
                prepare()
        if batch.outputs is None or (generators and batch.outputs.graph_modules != generators):
            batch.outputs = self.Outputs(self, batch, reachable)
        for name, module in self._seeded.items():
            module.reseed_(seed_of(batch.seed, phase, name))
        batch.outputs.start_phase(phase)
        return cast(BatchOutputs, batch.outputs)

    def loss_value(
        self, name: str, call: Call, outputs: BatchOutputs, weight: LossWeight | None = None
    ) -> dict[str, Tensor]:
        """Call a loss once for each domain that all of its inputs have, or for those that the recipe restricts it to.

        Args:
            name: name of the loss in the recipe.
            call: the call of one of its methods.
            outputs: where its inputs come from.
            weight: weight at this step, whose domains are computed; that of the call, with all its domains, when None.

        Raises:
            TrainingError: its inputs share no such domain.
        """
        inputs = {parameter: getattr(outputs, output) for parameter, output in call.inputs.items()}
        if any(values is None for values in inputs.values()):
            return {}
        shared = [key for key in next(iter(inputs.values())) if all(key in values for values in inputs.values())]
        if not shared:
            domains = "; ".join(f"{output}: {', '.join(inputs[p]) or 'none'}" for p, output in call.inputs.items())
            raise TrainingError(f"losses.{name}: its inputs share no domain ({domains}), so it is never computed")
        if not any(call.weight.has(key) for key in shared):
            only = " and ".join(call.weight.domains or ())
            raise TrainingError(f"losses.{name}: its inputs have the domains {', '.join(shared)}, got only = {only}")
        computed = [key for key in shared if (weight or call.weight).has(key)]
        # Hooks of a criterion run only if the module itself is called.
        method = self.losses[name] if call.method == "forward" else getattr(self.losses[name], call.method)
        values = {key: method(**{p: _upcast(values[key]) for p, values in inputs.items()}) for key in computed}
        if call.mask is None:
            return values
        masks = getattr(outputs, call.mask)
        if unmasked := [key for key in computed if key.partition("/")[0] not in masks]:
            has = ", ".join(name for name, stream in self.streams.items() if stream.role == "mask") or "no mask"
            raise TrainingError(
                f"losses.{name}: {call.mask} has no mask for {', '.join(unmasked)}; the data have {has}"
            )
        try:
            return {key: masked_mean(value, masks[key.partition("/")[0]]) for key, value in values.items()}
        except ShapeError as error:
            raise TrainingError(f"losses.{name}: {error}") from error

    @cached_property
    def trainable(self) -> dict[str, list[nn.Parameter]]:
        """Parameters that phases may train, by submodule: all that require a gradient when this is first read."""
        names = dict.fromkeys(name for phase in self.phases.values() for name in phase.modules)
        return {name: [p for p in self.get_submodule(name).parameters() if p.requires_grad] for name in names}

    @cached_property
    def _seeded(self) -> dict[str, Any]:
        """Submodules with a method `reseed_`, which draw from a seed of their own in each phase, by name."""
        return {name: module for name, module in self.named_modules() if hasattr(module, "reseed_")}

    def translate(self, image: Tensor, to: str) -> GeneratorOutput:
        """Translate images [B, C, H, W] to a domain.

        A translator with conditions, such as a style, takes them as further parameters; those without a default are
        required. Images given as conditions arrive as tensors [1, C, H, W], everything else as the user wrote it.
        """
        raise NotImplementedError

    @classmethod
    def conditions(cls) -> list[str]:
        """Return the names of the conditions that `translate` takes."""
        return [name for name in named(cls.translate) if name not in named(Translator.translate)]

    def parse_style(self, style: str) -> dict[str, Any]:
        """Return the values of the condition `style` for what a user wrote, by the suffix of each output file's name.

        Raises:
            I2IError: it is no style.
        """
        return random_or_image(style)

    def preview(self, images: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """Return the rows of a sample grid: by caption, then by domain of the input, images [n, C, H, W]."""
        raise NotImplementedError

    @property
    def requires_condition(self) -> bool:
        """Whether `translate` needs a condition, such as a style."""
        return False

    @property
    def targets(self) -> tuple[str, ...]:
        """Domains that `translate` can generate."""
        return self.domains

    def input_stream(self, to: str) -> Stream:
        """Return the specification of the images that `translate` takes for a target domain."""
        return self.streams[next((domain for domain in self.domains if domain != to), to)]

    @property
    def inference_modules(self) -> tuple[str, ...]:
        """Submodules that `translate` uses: they are averaged by `train.ema` and decide which image sizes are legal."""
        return self.generator_modules

    def discriminators_of(self, domain: str) -> Mapping[str, Discriminator]:
        """Return the discriminators of a domain's images, by name."""
        return cast("Mapping[str, Discriminator]", cast(nn.ModuleDict, self.get_submodule(f"discriminators.{domain}")))

    def randn(self, name: str, shape: Sequence[int], seed: int) -> Tensor:
        """Draw from N(0, 1) on the CPU, so that all devices get the same numbers.

        Args:
            name: purpose of the numbers, such as `generator/style/a`; for subclasses and tests that replace them.
            shape: shape of the result.
            seed: seed that already depends on the name.
        """
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), device="cpu")

    def at_step_(self, step: int) -> None:
        """Adapt to a step, as progressive growing does. Called before each step and before inference.

        Submodules with a method `at_step_` are adapted here.
        """
        for module in self.modules():
            follow = getattr(module, "at_step_", None)
            if follow is not None and module is not self:
                follow(step)

    def reset_optimizers(self, step: int) -> Iterable[str]:
        """Return the phases whose optimizers lose their state at a step; must follow from the step alone."""
        return ()

    @property
    def structure_changes(self) -> tuple[int, ...]:
        """Steps from which on other networks are active than before; the dry run covers each of them."""
        return (0,)

    def _generators_in(self, phase: str) -> frozenset[str]:
        return frozenset(self.generator_modules).intersection(self.phases[phase].modules)


def _upcast(value: object) -> object:
    """Losses sum over many pixels, so half-precision inputs become float32."""
    return upcast(value) if isinstance(value, Tensor) else value


def _assumed(role: str) -> Stream:
    """A stream of which only the role is known: RGB images, or an unknown number of classes."""
    return Stream("label", channels=0) if role == "label" else Stream(cast(Any, role))
