"""Editing vectors: changes of style vectors, kept in files with the hash of the generator that they belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i.nn.weight_files import few
from i2i_edit.generator_files import GeneratorFile, check_suffix

FILE = GeneratorFile("vector", "i2i-edit vector 1", "an editing vector", "this vector belongs")
WS = "ws"
"""Name of the change of style vectors in a file; changes of styles have the prefix `styles.`."""
STYLES = "styles."


@dataclass(frozen=True)
class EditVector:
    """A change of an image in the space of styles of one generator.

    Args:
        name: of the attribute, such as `smile`.
        generator: hash of the generator, as `generator_hash` gives it.
        ws: added to style vectors w, [num_ws, w_dim]; None where only styles change.
        styles: added to the styles of single layers (StyleSpace), [C] each, by the layer's name such as `b8.conv0`.
        method: how the vector was found, such as `sefa`.
        notes: further facts, such as an accuracy; JSON types.
    """

    name: str
    generator: str
    ws: Tensor | None = None
    styles: Mapping[str, Tensor] = field(default_factory=dict)
    method: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __mul__(self, strength: float) -> EditVector:
        """Scale the change."""
        ws = None if self.ws is None else self.ws * strength
        return replace(self, ws=ws, styles={name: value * strength for name, value in self.styles.items()})

    def __add__(self, other: EditVector) -> EditVector:
        """Combine two changes of one generator.

        Raises:
            I2IError: they belong to different generators.
        """
        if self.generator != other.generator:
            raise I2IError(
                f"vectors {self.name} and {other.name} belong to different generators, {self.generator[:12]} and "
                f"{other.generator[:12]}"
            )
        parts = [value for value in (self.ws, other.ws) if value is not None]
        styles = {
            name: sum_of([one.styles[name] for one in (self, other) if name in one.styles])
            for name in {**self.styles, **other.styles}
        }
        return EditVector(f"{self.name}+{other.name}", self.generator, sum_of(parts) if parts else None, styles)


def sum_of(tensors: list[Tensor]) -> Tensor:
    """Return the sum of tensors of one shape."""
    return torch.stack(tensors).sum(0)


def combined(vectors: Sequence[EditVector]) -> EditVector | None:
    """Return the sum of vectors; None of none."""
    total: EditVector | None = None
    for vector in vectors:
        total = vector if total is None else total + vector
    return total


def generator_hash(generator: Any) -> str:
    """Return the SHA-256 of a generator's weights, whatever run or file they come from.

    Args:
        generator: a module, such as `loaded.translator.generator`.
    """
    digest = hashlib.sha256()
    for name, value in sorted(generator.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()


def save_vector(vector: EditVector, path: Path) -> None:
    """Write a vector as safetensors, completely or not at all.

    Raises:
        I2IError: the file's suffix is another one.
    """
    check_suffix(path)
    FILE.write(path, *_parts(vector))


def packed(vector: EditVector) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a vector's file."""
    return FILE.packed(*_parts(vector))


def _parts(vector: EditVector) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {STYLES + name: value for name, value in vector.styles.items()}
    if vector.ws is not None:
        tensors[WS] = vector.ws
    facts = {"name": vector.name, "generator": vector.generator, "method": vector.method, "notes": dict(vector.notes)}
    return tensors, facts


def load_vector(path: Path, generator: str | None = None) -> EditVector:
    """Read a vector.

    Args:
        path: the file.
        generator: hash of the generator that it is for; None accepts any.

    Raises:
        I2IError: the file is missing, is no vector, or belongs to another generator.
    """
    return FILE.read(path, generator, _parsed)


def _parsed(facts: dict[str, Any], tensors: dict[str, Tensor]) -> EditVector:
    vector = EditVector(
        str(facts["name"]),
        str(facts["generator"]),
        tensors.pop(WS, None),
        {name.removeprefix(STYLES): tensors.pop(name) for name in list(tensors) if name.startswith(STYLES)},
        str(facts["method"]),
        dict(facts["notes"]),
    )
    if tensors:
        raise ValueError(f"unknown tensors {few(tensors)}")
    if not all(value.isfinite().all() for value in (*vector.styles.values(), vector.ws) if value is not None):
        raise ValueError("it has values that are NaN or infinite")
    return vector
