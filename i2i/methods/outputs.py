"""The tensors of one batch, made when a loss first asks for them and kept for the whole step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from i2i.core.contracts import Discriminator
from i2i.core.randomness import seed_of
from i2i.nn.functional.draws import to_like
from i2i.nn.functional.optimizations import optimizations_enabled
from i2i.nn.layers.batch_independence import is_batch_independent
from i2i.nn.layers.spectral import in_chunks

if TYPE_CHECKING:
    from i2i.methods.translator import Translator


@dataclass
class Batch:
    """The images of one micro-batch, and what has been made of them in this step.

    Args:
        images: what the translator's `streams` name, above all images [B, 3, H, W] in [-1, 1] by domain.
        seed: what everything drawn for this batch follows from.
        keep_graph: whether images that one phase makes keep their graph for a later phase. Under gradient
            accumulation that would hold the graphs of all micro-batches at once, so there each phase makes its own.
        step: how many have been taken before; some losses rest in most of them.
    """

    images: Mapping[str, Tensor]
    seed: int = 0
    keep_graph: bool = True
    outputs: Outputs | None = None
    step: int = 0


class per_phase(cached_property[Any]):  # noqa: N801  # used as a decorator, like its parent
    """An output that is made anew in every phase, such as logits: the networks behind it have moved."""


class Outputs:
    """Named tensors of one batch, by domain; every public property is an output that a loss can ask for by name.

    A `cached_property` is made once per step and shared by its phases, a `per_phase` property once in each phase. An
    output that does not exist at this step, such as one that growing networks only make later, is None: losses that
    ask for it rest. One that never exists lacks its domains instead, which a rehearsal reports.

    Args:
        nets: the translator, whose submodules make the images.
        batch: the images and the seed of what is drawn.
    """

    def __init__(self, nets: Translator, batch: Batch) -> None:
        self.nets, self.batch = nets, batch
        self.phase = ""
        self.graph: frozenset[str] = frozenset()
        """Submodules that gradients reach through what is made here."""

    @property
    def real(self) -> Mapping[str, Tensor]:
        """The batch's own images, by domain."""
        return {domain: self.batch.images[domain] for domain in self.nets.domains}

    @property
    def draw(self) -> dict[str, int]:
        """A seed for whatever a loss draws, another in each phase and domain."""
        return {domain: seed_of(self.batch.seed, self.phase, domain) for domain in self.nets.domains}

    def randn(self, name: str, domain: str, like: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """Numbers from N(0, 1) for one phase and domain, counted from the batch's seed.

        Args:
            name: what for; each name has its own numbers.
            like: a tensor whose device, type and, if no other is given, shape they get.
        """
        seed = seed_of(self.batch.seed, self.phase, name, domain)
        drawn = self.nets.randn(f"{self.phase}/{name}/{domain}", shape or like.shape, seed)
        return to_like(drawn, like)

    def updates(self, module: str) -> bool:
        """Whether the phase at work trains a submodule."""
        return module in self.nets.phases[self.phase]

    def enter(self, phase: str) -> None:
        """Begins a phase: what was made for the last one alone is forgotten."""
        self.phase = phase
        for name in [name for name in vars(self) if isinstance(getattr(type(self), name, None), per_phase)]:
            del vars(self)[name]

    def detach_(self) -> None:
        """Lets go of the graph: images stay, for those phases that only look at them."""
        self.graph = frozenset()
        for name, value in vars(self).items():
            if isinstance(getattr(type(self), name, None), cached_property):
                vars(self)[name] = detached(value)


class GANOutputs(Outputs):
    """Outputs of a translator that has `discriminators`, by domain and name."""

    @property
    def fake(self) -> Mapping[str, Tensor]:
        """The translator's images, by the domain that they imitate."""
        raise NotImplementedError

    @cached_property
    def fake_for_discriminator(self) -> Mapping[str, Tensor]:
        """The fakes that discriminators are trained on: detached, and through the image pool if there is one."""
        fake_for_discriminator: Mapping[str, Tensor] = detached(dict(self.fake))
        return fake_for_discriminator

    @property
    def discriminate(self) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
        """The discriminators as functions, for losses that look at their gradients."""
        return {domain: lambda image, domain=domain: self._discriminate({domain: image}) for domain in self.real}  # type: ignore[misc]

    @property
    def real_for_discriminator(self) -> Mapping[str, Tensor]:
        """The real images that discriminators see, by domain."""
        return self.real

    @per_phase
    def real_logits(self) -> dict[str, Tensor]:
        """Logits of the real images, by `domain/discriminator/head`."""
        return (
            self._both_logits[0] if self.updates("discriminators") else self._discriminate(self.real_for_discriminator)
        )

    @per_phase
    def fake_logits(self) -> dict[str, Tensor]:
        """Logits of `fake_for_discriminator` where discriminators train, else of the fakes with their graph."""
        return self._both_logits[1] if self.updates("discriminators") else self._discriminate(self.fake)

    @per_phase
    def _both_logits(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Logits of real images and of fakes, as of two forwards in this order: spectral norm moves with each."""
        found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        for domain, real in self.real_for_discriminator.items():
            for name, discriminator in self.nets.discriminators_of(domain).items():
                logits = discriminate_in_turn(discriminator, real, self.fake_for_discriminator[domain])
                for of_one, heads in zip(found, logits, strict=True):
                    of_one.update({f"{domain}/{name}/{head}": value for head, value in heads.items()})
        return found

    def _discriminate(self, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            f"{domain}/{name}/{head}": logits
            for domain, image in images.items()
            for name, discriminator in self.nets.discriminators_of(domain).items()
            for head, logits in discriminator(image).logits.items()
        }


def discriminate_in_turn(discriminator: Discriminator, *images: Tensor) -> list[dict[str, Tensor]]:
    """Logits of several batches, as of one forward for each in their order; in one forward where that is the same.

    It is where no layer mixes the images of a batch: a spectral norm then takes a step for each part.
    """
    network = cast(nn.Module, discriminator)
    alike = len({(image.shape, image.dtype) for image in images}) == 1
    if not alike or not is_batch_independent(network) or not optimizations_enabled():
        return [discriminator(image).logits for image in images]
    with in_chunks(network, len(images)):
        logits = discriminator(torch.cat(images)).logits
    parts = {head: value.chunk(len(images)) for head, value in logits.items()}
    return [{head: chunks[index] for head, chunks in parts.items()} for index in range(len(images))]


def detached(value: Any) -> Any:
    """The same mappings and tuples, with every tensor detached."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, Mapping):
        return {key: detached(item) for key, item in value.items()}
    if isinstance(value, tuple):
        parts = [detached(item) for item in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value
