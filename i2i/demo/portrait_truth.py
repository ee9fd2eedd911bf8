"""Drawn portraits with what is true of them: label maps, and captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from i2i.core.bounds import height_width
from i2i.core.contracts import Stream
from i2i.data.label_maps import one_hot, parse_colors
from i2i.data.sampler import epoch_order
from i2i.demo.anime import anime
from i2i.demo.attributes import LONGEST, WORDS, caption
from i2i.demo.canvas import DrawnSize
from i2i.demo.label_map import CLASSES, COLORS, label_map
from i2i.demo.portraits import _PREVIEW, Portraits
from i2i.errors import I2IError


class PortraitLabels(Portraits):
    """Pairs of a label map (a) and the anime drawing (b) of a character, for a first run without any files.

    The label map is one-hot, [7, size, size], with the classes background, skin, hair, eyes, mouth, glasses, clothes.
    Characters are those of domain b of `portraits`. Images are square.

    Args:
        size: height and width of the images in pixels, equal.
        count: characters, which are the samples of one epoch.
        seed: of all characters, >= 0.
        zoom: factor of the characters' size.
    """

    paired: bool | None = True

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        streams = super().declare_streams(options)
        palette = parse_colors("colors", COLORS)
        labels = replace(streams["a"], channels=len(CLASSES), range=(0.0, 1.0), names=CLASSES, colors=palette)
        return streams | {"a": labels}

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0: the label map and the drawing of one character."""
        return self._pair(self.numbers(number)[1])

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out characters in both domains."""
        return _stacked([self._pair(number) for number in range(_PREVIEW + 1, _PREVIEW + 1 + 2 * count, 2)])

    def pairs(self, count: int) -> dict[str, Tensor]:
        """Held-out characters in both domains; the same as those of `preview`."""
        return self.preview(count)

    def _pair(self, number: int) -> dict[str, Tensor]:
        labels = label_map(self.character(number), max(height_width(self.size)))
        return {"a": one_hot(labels[..., None], len(CLASSES)), "b": self._drawn(anime, [number])[0]}


class CaptionedPortraits(Portraits):
    """Anime drawings (`image`) with captions (`text`), such as "red hair, glasses".

    A caption names some of what is true of a drawing, drawn again in each epoch. Its words are numbers, [1, 16], padded
    with 0; the stream names the words. Characters are those of domain b of `portraits`.

    Args:
        size: height and width of the images in pixels; one number for a square.
        count: characters, which are the samples of one epoch.
        seed: of characters and captions, >= 0.
        zoom: factor of the characters' size.
        cache: whether drawings are kept in memory, so that each is drawn once.
    """

    domains: tuple[str, ...] = ("image",)
    paired: bool | None = None
    words: ClassVar[tuple[str, ...]] = WORDS

    def __init__(
        self,
        size: DrawnSize = 64,
        count: Annotated[int, Ge(1), Le(2**31)] = 1000,
        seed: Annotated[int, Ge(0)] = 0,
        zoom: Annotated[float, Ge(0.5), Le(3)] = 1,
        cache: bool = False,
    ) -> None:
        super().__init__(size, count, seed, zoom)
        self.kept: dict[int, Tensor] | None = {} if cache else None

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        return super().declare_streams(options) | {"text": Stream("label", len(WORDS), (1, LONGEST), names=WORDS)}

    def numbers(self, number: int) -> tuple[int, int]:
        """Number of the character of a sample, twice."""
        if number < 0:
            raise IndexError(f"captioned portraits: samples are numbered from 0, got {number}")
        epoch, place = divmod(number, self.count)
        character = 2 * int(epoch_order(self.seed, "b", epoch, self.count)[place]) + 1
        return character, character

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Sample `number` >= 0: a drawing and its caption."""
        character = self.numbers(number)[0]
        text = caption_tokens(caption(self.character(character), self.seed + number))
        image = None if self.kept is None else self.kept.get(character)
        if image is None:
            image = self._drawn(anime, [character])[0]
            if self.kept is not None:
                self.kept[character] = image
        return {"image": image, "text": text[None]}

    def preview(self, count: int) -> dict[str, Tensor]:
        """Held-out characters with whole captions."""
        numbers = range(_PREVIEW + 1, _PREVIEW + 1 + 2 * count, 2)
        texts = [caption_tokens(caption(self.character(number)))[None] for number in numbers]
        return {"image": self._drawn(anime, numbers), "text": torch.stack(texts)}


def caption_tokens(text: str, words: tuple[str, ...] = WORDS, length: int = LONGEST) -> Tensor:
    """Return the numbers [length] of a caption's words, padded with 0.

    Args:
        text: words separated by spaces and commas.
        words: all words that there are.
        length: of the result.

    Raises:
        I2IError: the text is empty, too long, or has a word that is not among `words`.

    Example:
        >>> caption_tokens("Red hair, smile", ("(none)", "hair", "red", "smile"), 4)
        tensor([2, 1, 3, 0])
    """
    found = text.lower().replace(",", " ").split()
    if not found:
        raise I2IError("text: expected words such as red hair, got an empty text")
    if len(found) > length:
        raise I2IError(f"text: expected at most {length} words, got {len(found)}")
    for word in found:
        if word not in words[1:]:
            raise I2IError(f"text: no caption has the word {word!r}; the words are {', '.join(words[1:])}")
    return torch.tensor([words.index(word) for word in found] + [0] * (length - len(found)))


def _stacked(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
