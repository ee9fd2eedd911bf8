"""Base class of translators between two domains, with a generator and discriminators for each domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from keyword import iskeyword
from typing import ClassVar

from torch import nn

from i2i.core.contracts import Discriminator, Generator, Phase, Stream
from i2i.core.factory import Factory
from i2i.errors import OptionError
from i2i.methods.networks import network
from i2i.methods.translator import Translator


class TwoDomains(Translator):
    """A generator and discriminators for each of two domains; each step trains the discriminators first.

    Args:
        generator: factory of the generators, one for each domain; `generators.b` generates images of domain b.
        discriminators: factories of the discriminators by name; each is built once for each domain.
        streams: specification of each stream of the data, by name; RGB images in [-1, 1] of any size when None.
        encodes_own: whether the input of a generator is an image of its own domain instead of the other one.
    """

    phases: Mapping[str, Phase] = {"discriminator": Phase(("discriminators",)), "generator": Phase(("generators",))}
    generator_modules: ClassVar[tuple[str, ...]] = ("generators",)

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        streams: Mapping[str, Stream] | None = None,
        encodes_own: bool = False,
    ) -> None:
        super().__init__(streams)
        a, b = self.domains
        self.generators = nn.ModuleDict(
            {
                target: network(generator(**self.network_options(source, target)))
                for source, target in ((a if encodes_own else b, a), (b if encodes_own else a, b))
            }
        )
        self.discriminators = build_discriminators(self, discriminators, self.domains)


def build_discriminators(
    translator: Translator, discriminators: Mapping[str, Factory[Discriminator]], domains: Iterable[str]
) -> nn.ModuleDict:
    """Build each discriminator once for each domain.

    Args:
        translator: translator whose streams set the options of the discriminators, such as `in_channels`.
        discriminators: factories of the discriminators, by name.
        domains: domains whose images the discriminators classify.

    Returns:
        The discriminators, by domain and then by name.
    """
    return nn.ModuleDict(
        {
            domain: nn.ModuleDict(
                {name: network(build(**translator.network_options(domain))) for name, build in discriminators.items()}
            )
            for domain in domains
        }
    )


def check_discriminators(discriminators: dict[str, Factory[Discriminator]]) -> None:
    """Check that there are discriminators, and that torch.fx can write their names as attributes.

    Args:
        discriminators: factories of the discriminators, by name.

    Raises:
        OptionError: there is no discriminator, or the name of one is a keyword of Python.
    """
    if not discriminators:
        raise OptionError("discriminators", "expected at least one discriminator, got none")
    for name in filter(iskeyword, discriminators):
        raise OptionError(
            "discriminators", f"{name!r} is a keyword of Python, which torch.export cannot take; try {name + '_'!r}"
        )


def check_generator(generator: Factory[Generator], methods: tuple[str, ...], such_as: str) -> None:
    """Check that a generator has the methods that a translator calls.

    Args:
        generator: factory of the generator.
        methods: names of the required methods.
        such_as: registered name of a generator that has them, for the message.

    Raises:
        OptionError: the generator lacks one of the methods.
    """
    missing = [name for name in methods if not callable(getattr(generator.component, name, None))]
    if missing:
        raise OptionError(
            "generator",
            f"expected one with {', '.join(methods)}, such as {such_as}, got {generator.name!r}, "
            f"which lacks {', '.join(missing)}",
        )
