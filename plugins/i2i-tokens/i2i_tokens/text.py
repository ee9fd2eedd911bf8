"""Texts as tokens: one for each word of a fixed vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from i2i.core.spelling import did_you_mean
from i2i.errors import I2IError

PADDING = "(none)"
"""First word of every vocabulary: what follows a text that is shorter than the longest."""


def tokenize(text: str, words: Sequence[str], length: int) -> Tensor:
    """Return the tokens [length] of a text.

    Args:
        text: words separated by spaces, in upper or lower case.
        words: the vocabulary; its first entry is `PADDING`.
        length: number of tokens; shorter texts are padded.

    Raises:
        I2IError: the text is empty, too long, or has a word that is not in the vocabulary.

    Example:
        >>> tokenize("Red circle", (PADDING, "circle", "red"), 3)
        tensor([2, 1, 0])
    """
    found = text.lower().split()
    if not found:
        raise I2IError(f"text: expected words such as {' '.join(words[1:3])}, got an empty text")
    if len(found) > length:
        raise I2IError(f"text: expected at most {length} words, got {len(found)}")
    for word in found:
        if word not in words[1:]:
            known = did_you_mean(word, list(words[1:])) or f" The words are {', '.join(words[1:20])}."
            raise I2IError(f"text: this run has no word {word!r}.{known}")
    numbers = [words.index(word) for word in found]
    return torch.tensor(numbers + [0] * (length - len(numbers)))
