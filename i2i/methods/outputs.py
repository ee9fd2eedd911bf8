"""Outputs of a batch: named tensors that losses ask for, computed on first use and reused within a step or a phase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from i2i.core.contracts import Batch, Discriminator, DiscriminatorOutput, GeneratorOutput
from i2i.core.randomness import seed_of
from i2i.methods.drawing import drawn
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.layers.independence import is_batch_independent
from i2i.nn.layers.spectral import in_chunks, iterate_ahead

T = TypeVar("T")


def output(
    *, reuse: Literal["step", "phase"], graph_for: str | None = None
) -> Callable[[Callable[[Any], T]], cached_property[T]]:
    """Declare an output that is computed when a loss first asks for it, and then reused.

    A plain `property` is computed at each access; use it for views of other outputs. Everything that calls a network
    is declared with one of three modes:

    `reuse="step"`: computed once, seen by all phases of the step. This is for generated images. Their graph reaches the
    generator modules of the phase that computes them or, where a later phase of the step trains them, of that phase. At
    the end of a phase that trains generator modules all cached outputs are detached: later phases see values only.

    `reuse="phase"`: computed again in every phase. This is for whatever depends on networks that an earlier phase has
    updated, such as logits, and for whatever is drawn again in every phase.

    `reuse="phase", graph_for="generators"`: as above, but with a graph only in phases that train the submodule
    `graph_for`. This is for images that a discriminator phase generates for itself, whose graph nobody would follow.

    The mode of each output holds for itself alone: an output that is computed for another one without a graph still
    gets its own, because a later phase may need it.

    Args:
        reuse: how long the value is kept.
        graph_for: submodule without whose training the output needs no graph.
    """

    def decorate(function: Callable[[Any], T]) -> cached_property[T]:
        return _ReusedOutput(function, reuse, graph_for)

    return decorate


class _ReusedOutput(cached_property[T], Generic[T]):
    def __init__(self, function: Callable[[Any], T], reuse: str, graph_for: str | None) -> None:
        super().__init__(function)
        self.reuse, self.graph_for = reuse, graph_for

    def __get__(self, outputs: Any, owner: type | None = None) -> Any:
        if outputs is None:
            return self
        needs_graph = self.graph_for is None or outputs.trains(self.graph_for)
        with torch.set_grad_enabled(outputs.grad_enabled and needs_graph):
            value = outputs.__dict__[self.attrname] = self.func(outputs)
        return value


class Outputs:
    """Named tensors of one batch, by domain. Every public property is an output that losses can ask for by name.

    See `output` for how long a value is kept and which graph it has. An output that does not exist at this step, such
    as one that growing networks only produce later, is None: losses that ask for it are skipped. An output that never
    exists lacks its domains instead, which the dry run reports.

    Args:
        translator: the `i2i.methods.translator.Translator` whose submodules compute the outputs; its class is not named
            here, because it names this one.
        batch: the streams, and the seed of everything drawn.
        graph_modules: generator modules that the graph of generated images reaches.
    """

    def __init__(self, translator: Any, batch: Batch, graph_modules: frozenset[str] = frozenset()) -> None:
        self.translator: Any = translator
        self.batch, self.graph_modules = batch, graph_modules
        self.phase = ""
        self.grad_enabled = torch.is_grad_enabled()

    @property
    def real(self) -> Mapping[str, Tensor]:
        """Images of the batch [B, C, H, W], by domain."""
        return {domain: self.batch.streams[domain] for domain in self.translator.domains}

    @property
    def mask(self) -> Mapping[str, Tensor]:
        """Masks [B, 1, H, W] in [0, 1] of the images, by domain: the streams `mask_a` and `mask_b`, or `mask`."""
        streams = self.batch.streams
        masks = {domain: streams.get(f"mask_{domain}", streams.get("mask")) for domain in self.real}
        return {domain: mask for domain, mask in masks.items() if mask is not None}

    @property
    def background(self) -> Mapping[str, Tensor]:
        """What `mask` leaves out: `1 - mask`."""
        return {domain: 1 - mask for domain, mask in self.mask.items()}

    @property
    def draw(self) -> dict[str, int]:
        """A seed for whatever a loss draws, different in each phase and domain."""
        return {domain: seed_of(self.batch.seed, self.phase, domain) for domain in self.translator.domains}

    def randn(self, name: str, domain: str, like: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """Draw from N(0, 1) for the current phase and a domain, reproducibly from the batch's seed.

        Args:
            name: purpose of the numbers; each name has its own.
            domain: domain they belong to.
            like: tensor whose device, dtype and, if `shape` is None, shape they get.
            shape: shape of the result.
        """
        translator, phase, size = self.translator, self.phase, shape or like.shape

        def draw(seed: int) -> list[Tensor]:
            return [translator.randn(f"{phase}/{name}/{domain}", size, seed_of(seed, phase, name, domain))]

        return drawn(self.batch, draw, like)[0]

    def trains(self, module: str) -> bool:
        """Return whether the current phase trains a submodule."""
        return module in self.translator.phases[self.phase].modules

    def is_needed(self, *prefixes: str) -> bool:
        """Return whether any loss of any phase asks for an output whose name starts with one of the prefixes."""
        calls = (call for calls in self.translator.calls.values() for call in calls)
        return any(name.startswith(prefixes) for call in calls for name in call.inputs.values())

    def start_phase(self, phase: str) -> None:
        """Forget the outputs of the previous phase that are not reused."""
        self.phase, self.grad_enabled = phase, torch.is_grad_enabled()
        for name in list(vars(self)):
            if getattr(getattr(type(self), name, None), "reuse", None) == "phase":
                del vars(self)[name]

    def detach_(self) -> None:
        """Detach all cached outputs: later phases of the step see their values only."""
        self.graph_modules = frozenset()
        for name, value in vars(self).items():
            if isinstance(getattr(type(self), name, None), cached_property):
                vars(self)[name] = detached(value)


class GANOutputs(Outputs):
    """Outputs of a translator with `discriminators`, by domain and discriminator name."""

    @property
    def fake(self) -> Mapping[str, Tensor]:
        """Generated images, by the domain that they imitate."""
        raise NotImplementedError

    @output(reuse="step")
    def fake_for_discriminator(self) -> Mapping[str, Tensor]:
        """Fakes that discriminators are trained on: detached, and exchanged with the image pool if there is one."""
        return cast("Mapping[str, Tensor]", detached(dict(self.fake)))

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions of an image, for losses on their gradients."""
        return {
            domain: lambda image, domain=domain: self._discriminate({domain: image})  # type: ignore[misc]
            for domain in self.real_for_discriminator
        }

    @property
    def real_for_discriminator(self) -> Mapping[str, Tensor]:
        """Real images that discriminators see, by domain."""
        return self.real

    @output(reuse="phase")
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of real images, by `domain/discriminator/head`."""
        if self.trains("discriminators"):
            return self.observed(self._both_logits[0])
        return self._discriminate(self.real_for_discriminator)

    def observed(self, real_logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Show the logits of real images to discriminators with a method `observe_real_`, and return them."""
        by_discriminator: dict[tuple[str, str], dict[str, Tensor]] = {}
        for key, logits in real_logits.items():
            domain, name, head = key.split("/")
            by_discriminator.setdefault((domain, name), {})[head] = logits
        for (domain, name), heads in by_discriminator.items():
            observe_real_ = getattr(self.translator.discriminators_of(domain)[name], "observe_real_", None)
            if observe_real_ is not None:
                observe_real_(heads)
        return real_logits

    @output(reuse="phase")
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of `fake_for_discriminator` where discriminators are trained, otherwise of `fake` with its graph."""
        return self._both_logits[1] if self.trains("discriminators") else self._discriminate(self.fake)

    @output(reuse="phase")
    def _both_logits(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Logits of real images and of fakes, as of two forward passes in this order: each advances spectral norm."""
        both: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        fakes = self.fake_for_discriminator
        with iterate_ahead(self._networks(self.real_for_discriminator), 2):
            for domain, real in self.real_for_discriminator.items():
                for name, discriminator in self.translator.discriminators_of(domain).items():
                    logits = discriminate_in_turn(discriminator, real, fakes[domain])
                    for target, heads in zip(both, logits, strict=True):
                        target.update({f"{domain}/{name}/{head}": value for head, value in heads.items()})
        return both

    def _discriminate(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with iterate_ahead(self._networks(images), 1):
            return {
                f"{domain}/{name}/{head}": logits
                for domain, image in images.items()
                for name, discriminator in self.translator.discriminators_of(domain).items()
                for head, logits in self._call(discriminator, image).logits.items()
            }

    def _networks(self, domains: Iterable[str]) -> list[nn.Module]:
        """Return the discriminators of domains."""
        found = (self.translator.discriminators_of(domain).values() for domain in domains)
        return [cast(nn.Module, discriminator) for discriminators in found for discriminator in discriminators]

    def _call(self, discriminator: Any, image: Tensor) -> DiscriminatorOutput:
        """Call a discriminator; a subclass may give it more than the image."""
        return cast(DiscriminatorOutput, discriminator(image))


class TranslationOutputs(GANOutputs):
    """Outputs that follow from a translation and a reproduction, which each method computes in its own way."""

    @property
    def translation(self) -> Mapping[str, GeneratorOutput]:
        """The generator's output for images of the other domain, by the domain that it generates."""
        raise NotImplementedError

    @property
    def reproduction(self) -> Mapping[str, GeneratorOutput]:
        """The generator's output for images of the domain that it generates, which it should leave unchanged."""
        raise NotImplementedError

    @property
    def fake(self) -> dict[str, Tensor]:
        """Translated images."""
        return {domain: generated.image for domain, generated in self.translation.items()}

    @property
    def identity(self) -> dict[str, Tensor]:
        """Images after the generator of their own domain."""
        return {domain: generated.image for domain, generated in self.reproduction.items()}

    @property
    def source(self) -> dict[str, Tensor]:
        """Images that were translated, by the domain of their translations."""
        return {domain: self.real[self._source_of(domain)] for domain in self.translator.targets}

    @property
    def source_mask(self) -> dict[str, Tensor]:
        """Masks of `source`, by the same domains."""
        masks, sources = self.mask, {domain: self._source_of(domain) for domain in self.translator.targets}
        return {domain: masks[source] for domain, source in sources.items() if source in masks}

    @property
    def source_background(self) -> dict[str, Tensor]:
        """What `source_mask` leaves out, which a translation may have to keep."""
        return {domain: 1 - mask for domain, mask in self.source_mask.items()}

    def _source_of(self, domain: str) -> str:
        return str(next(other for other in self.translator.domains if other != domain))

    @property
    def fake_cam(self) -> dict[str, Tensor]:
        """CAM logits of the generator for images of the other domain; empty for a generator without attention."""
        return {domain: one.cam for domain, one in self.translation.items() if one.cam is not None}

    @property
    def identity_cam(self) -> dict[str, Tensor]:
        """CAM logits of the generator for images of its own domain; empty for a generator without attention."""
        return {domain: one.cam for domain, one in self.reproduction.items() if one.cam is not None}


def discriminate_in_turn(discriminator: Discriminator, *images: Tensor) -> list[dict[str, Tensor]]:
    """Return the logits of several batches, as of one forward pass for each, in their order.

    Where no layer mixes the samples of a batch, one forward pass computes all of them; spectral norm then advances once
    for each part.

    Args:
        discriminator: called on the images.
        images: batches [B, C, H, W].
    """
    network = cast(nn.Module, discriminator)
    same_shape = len({(image.shape, image.dtype) for image in images}) == 1
    if not same_shape or not is_batch_independent(network) or not optimizations_enabled():
        return [discriminator(image).logits for image in images]
    with in_chunks(network, len(images)):
        logits = discriminator(torch.cat(images)).logits
    parts = {head: value.chunk(len(images)) for head, value in logits.items()}
    return [{head: chunks[index] for head, chunks in parts.items()} for index in range(len(images))]


def detached(value: Any) -> Any:
    """Return the same mappings and tuples with every tensor detached."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, Mapping):
        return {key: detached(item) for key, item in value.items()}
    if isinstance(value, tuple):
        parts = [detached(item) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
