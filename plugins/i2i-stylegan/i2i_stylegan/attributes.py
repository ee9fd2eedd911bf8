"""GANs for attributes that an image has or has not: the translator, its loss, and data with attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.core.contracts import Discriminator, Generator, Stream
from i2i.core.factory import Factory
from i2i.core.randomness import seed_of
from i2i.core.spelling import did_you_mean
from i2i.data.locations import Location
from i2i.data.sampler import epoch_order
from i2i.data.transforms import Resample
from i2i.demo.anime import anime
from i2i.demo.attributes import TAGS, attributes
from i2i.demo.canvas import DrawnSize
from i2i.demo.portraits import Portraits
from i2i.errors import DataError, I2IError, OptionError
from i2i_stylegan.data import ImageFolder
from i2i_stylegan.outputs import IMAGE
from i2i_stylegan.translators import GAN


class AttributeGAN(GAN):
    """GAN that generates images with attributes, each of which an image has or has not.

    The data has a stream `attributes` of zeros and ones [B, A, 1, 1]. In training, images are generated for the
    attributes of images of the batch, so that they occur together as in the data.

    Args:
        generator: factory of the generator, of latent codes and attributes.
        discriminators: factories of the discriminators, by name; one has a head `classes`.
        exclusive: groups of attributes of which an image has exactly one, such as colours of hair, for samples whose
            attributes are drawn: one of each group, and each other attribute half of the time.
        streams: specification of each stream of the data, by name.

    Source: Jin et al., arXiv:1708.05509.
    """

    label_stream: ClassVar[str] = "attributes"
    label_role: ClassVar[str] = "raw"

    def __init__(
        self,
        generator: Factory[Generator],
        discriminators: dict[str, Factory[Discriminator]],
        exclusive: tuple[tuple[str, ...], ...] = (),
        streams: Mapping[str, Stream] | None = None,
    ) -> None:
        super().__init__(generator, discriminators, conditional=True, streams=streams)
        if unknown := [name for group in exclusive for name in group if name not in self.names]:
            raise OptionError("exclusive", f"the data has no attribute {unknown[0]!r}: {', '.join(self.names)}")
        self.exclusive = [[self.names.index(name) for name in group] for group in exclusive if group]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes."""
        return self.streams[self.label_stream].names

    def one_hot(self, labels: Tensor, like: Tensor) -> Tensor:
        """Return attributes [B, A] as the networks need them."""
        return labels[: len(like)].flatten(1).to(like.device, like.dtype)

    def latents(self, seeds: Iterable[int], classes: Iterable[int] | None = None) -> tuple[Tensor, Tensor | None]:
        """Return latent codes [B, z_dim] and attributes [B, A], one row for each seed.

        Args:
            seeds: each gives the same code on all devices.
            classes: numbers of the attributes that all images have; drawn for each seed when None.

        Raises:
            I2IError: no such attribute.
        """
        seeds = list(seeds)
        z, _ = super().latents(seeds)
        if classes is None:
            draws = [torch.Generator().manual_seed(seed_of(seed, "attributes")) for seed in seeds]
            numbers = torch.stack([torch.rand(self.num_classes, generator=one) for one in draws])
            c = (numbers < 0.5).to(z)
            for group in self.exclusive:
                c[:, group] = F.one_hot(numbers[:, group].argmax(1), len(group)).to(z)
            return z, c
        chosen = list(classes)
        if wrong := [number for number in chosen if not 0 <= number < self.num_classes]:
            raise I2IError(f"classes: expected numbers of attributes from 0 to {self.num_classes - 1}, got {wrong[0]}")
        c = z.new_zeros(len(seeds), self.num_classes)
        c[:, chosen] = 1
        return z, c

    def sample(
        self, seeds: Iterable[int], classes: tuple[int, ...] | None = None, attributes: str | None = None
    ) -> Tensor:
        """Return images [B, C, H, W] in [-1, 1], one for each seed.

        Args:
            seeds: of the latent codes.
            classes: numbers of the attributes that all images have.
            attributes: names of them, with commas, such as "glasses,red_hair", in place of numbers; drawn for each
                seed when both are None.
        """
        if attributes is not None:
            wanted = [name.strip() for name in str(attributes).split(",") if name.strip()]
            for name in wanted:
                if name not in self.names:
                    hint = did_you_mean(name, self.names)
                    raise I2IError(f"attributes: there is no {name!r}.{hint} Attributes: {', '.join(self.names)}")
            classes = tuple(self.names.index(name) for name in wanted)
        return self.generate(*self.latents(seeds, classes))


class AttributeClassifier(nn.Module):
    r"""Classification of attributes by the discriminator's head `classes`: binary cross-entropies, summed.

    The discriminator minimizes those of real images, and of generated ones for the attributes that they were made for;
    the generator minimizes the latter.

    Args:
        generated: whether the discriminator learns from generated images too, as in the paper. Without, it learns what
            an attribute is from real images only, so that the two networks cannot agree on another sign for it.

    Source: Jin et al., arXiv:1708.05509, equations 2 and 4.
    """

    def __init__(self, generated: bool = True) -> None:
        super().__init__()
        self.generated = generated

    def discriminator(
        self, real_class_logits: Tensor, fake_class_logits: Tensor, real_labels: Tensor, fake_labels: Tensor
    ) -> Tensor:
        """Compute the sum over attributes of both images' cross-entropies.

        Args:
            real_class_logits: [B, A].
            fake_class_logits: [B, A].
            real_labels: zeros and ones [B, A, 1, 1].
            fake_labels: zeros and ones [B, A, 1, 1].
        """
        loss = self.of(real_class_logits, real_labels)
        return loss + self.of(fake_class_logits, fake_labels) if self.generated else loss

    def generator(self, fake_class_logits: Tensor, fake_labels: Tensor) -> Tensor:
        return self.of(fake_class_logits, fake_labels)

    @staticmethod
    def of(logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the cross-entropy of logits [B, A], summed over attributes."""
        return F.binary_cross_entropy_with_logits(logits, labels.flatten(1).to(logits), reduction="none").sum(1).mean()


class TaggedFolder(ImageFolder):
    """Images of a folder (`image`) with attributes (`attributes`), which a text file lists.

    Each line of the file is the path of an image inside the folder, a colon, and the names of its attributes with
    commas, such as `a/0001.png: glasses, red_hair`. Names that `attributes` does not list are ignored.

    Args:
        root: the folder.
        attributes: names of the attributes, in the order of their numbers.
        tags: the text file, inside the folder.
        size: height and width of the images in pixels.
        flip: whether half of the images are mirrored left to right.
        resample: Pillow's filter for resizing.
        cache: MiB of memory for resized images; 0 for none.
        seed: of order and flips, >= 0.

    Raises:
        DataError: the file is missing, lists an image that is not there, or none for an image.
    """

    def __init__(
        self,
        root: Location,
        attributes: tuple[str, ...],
        tags: str = "tags.txt",
        size: Annotated[int, Ge(8)] = 128,
        flip: bool = True,
        resample: Resample = "lanczos",
        cache: Annotated[int, Ge(0)] = 1024,
        seed: int = 0,
    ) -> None:
        if len(set(attributes)) != len(attributes) or not attributes:
            raise OptionError("attributes", f"expected different names, at least one, got {list(attributes)}")
        super().__init__(root, (), size, flip, resample, cache, seed)
        self.attributes = attributes
        self.vectors = torch.zeros(len(self), len(attributes))
        self._read(self.folder / tags)

    def _read(self, file: Any) -> None:
        """Read the attributes of all images from the text file."""
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file}: expected a text file of attributes: {error}") from error
        missing = {one.relative_to(self.folder).as_posix(): index for index, one in enumerate(self.files)}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name, colon, rest = line.partition(":")
            index = missing.pop(name.strip(), None)
            if not colon or index is None:
                raise DataError(
                    f"{file}:{number}: expected IMAGE: ATTRIBUTE, ... with an image of the folder that no line before "
                    f"names, got {line[:80]!r}"
                )
            for attribute in {part.strip() for part in rest.split(",")} & set(self.attributes):
                self.vectors[index, self.attributes.index(attribute)] = 1
        if missing:
            raise DataError(f"{file}: expected a line for each image, got none for {next(iter(missing))}")

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Return the streams `image` and `attributes`."""
        names = tuple(options["attributes"])
        return {
            "image": Stream("image", 3, (options["size"], options["size"])),
            "attributes": Stream("raw", len(names), (1, 1), names=names),
        }

    def _labelled(self, index: int) -> dict[str, Tensor]:
        return {"attributes": self.vectors[index, :, None, None]}


class TaggedPortraits(Portraits):
    """Anime drawings (`image`) with what is true of them (`attributes`), such as glasses and red hair.

    Characters are those of domain b of `portraits`.

    Args:
        size: height and width of the images in pixels; one number for a square.
        count: characters, which are the samples of one epoch.
        seed: of all characters, >= 0.
        zoom: factor of the characters' size, as of `portraits`.
        poses: factor of the spread of the heads' places and tilts, as of `portraits`.
        cache: whether drawings are kept in memory, as drawing takes a third of the time of small trainings.

    Example:
        >>> TaggedPortraits(size=16)[0]["attributes"].shape
        torch.Size([15, 1, 1])
    """

    domains: tuple[str, ...] = (IMAGE,)
    paired: bool | None = None

    def __init__(
        self,
        size: DrawnSize = 64,
        count: Annotated[int, Ge(1), Le(2**31)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
        zoom: Annotated[float, Ge(0.5), Le(3)] = 1,
        poses: Annotated[float, Ge(0), Le(4)] = 1,
        cache: bool = False,
    ) -> None:
        super().__init__(size, count, seed, zoom, poses)
        self.kept: dict[int, dict[str, Tensor]] | None = {} if cache else None

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        """Return the streams `image` and `attributes`."""
        return super().declare_streams(options) | {"attributes": Stream("raw", len(TAGS), (1, 1), names=TAGS)}

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0: `image` [3, size, size] in [-1, 1] and `attributes`, zeros and ones."""
        epoch, place = divmod(number, self.count)
        chosen = 2 * int(epoch_order(self.seed, IMAGE, epoch, self.count)[place]) + 1
        if self.kept is None:
            return self._tagged(chosen)
        if chosen not in self.kept:
            self.kept[chosen] = self._tagged(chosen)
        return dict(self.kept[chosen])

    def _tagged(self, chosen: int) -> dict[str, Tensor]:
        truth = attributes(self.character(chosen))
        return {
            "image": self._drawn(anime, [chosen])[0],
            "attributes": torch.tensor([[[truth[name]]] for name in TAGS]),
        }

    def preview(self, count: int) -> dict[str, Tensor]:
        """Return held-out drawings [n, 3, size, size]."""
        return {"image": super().preview(count)["b"]}
