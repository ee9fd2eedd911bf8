"""Reads figures of official implementations and compares tensors with them.

Two kinds of sets have the same file names and keys. The set in this folder (`*.json`) is small: weights and inputs come
from numbered draws (`Draws`), and of each expected tensor a `Summary` is kept. A larger set (`*.safetensors`), named by
the environment variable `I2I_GOLDEN`, holds every tensor. Tests read both through `read`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

PROJECTIONS = 4
"""How many random projections a summary keeps."""

LEADING = 2
"""How many numbers from the beginning of a tensor a summary keeps."""

SMALL = 8
"""Tensors of at most so many numbers are kept whole."""


class Draws:
    """Tensors from one `numpy.random.RandomState`, whose streams NumPy keeps unchanged (NEP 19).

    The order of the draws matters. Kernels are scaled by their fan-in; running variances and gains are positive;
    images, cotangents and codes are standard normal (images squashed by tanh). Values are rounded to float32.

    Args:
        seed: of the stream.
    """

    def __init__(self, seed: int) -> None:
        self.state = np.random.RandomState(seed)
        self.table: list[tuple[str, list[int]]] = []

    def __call__(self, name: str, shape: tuple[int, ...] | list[int]) -> Tensor:
        """Draw the next tensor; `name` decides the distribution."""
        self.table.append((name, list(shape)))
        return draw(self.state, name, tuple(shape))


def draw(state: np.random.RandomState, name: str, shape: tuple[int, ...]) -> Tensor:
    """Draw one tensor by the rules of `Draws`."""
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if leaf == "filt":  # A blur's filter is a constant of the layer: [1, 2, 1] down, [1, 3, 3, 1] up with gain 4.
        row = np.array([1, 2, 1] if shape[-1] == 3 else [1, 3, 3, 1], dtype=np.float64)
        kernel = np.outer(row, row) / row.sum() ** 2 * (1 if shape[-1] == 3 else 4)
        return torch.from_numpy(kernel.astype(np.float32)).expand(shape).clone()
    normal = state.standard_normal(shape)
    if leaf in ("weight_u", "weight_v"):
        value = normal / np.linalg.norm(normal)
    elif leaf == "running_var":
        value = 0.5 + np.abs(normal)
    elif leaf == "rho" and shape[-1] == 1:
        value = 1 / (1 + np.exp(-2 * normal))
    elif leaf in ("gamma", "scale", "lamda") or (leaf == "weight" and len(shape) == 1):
        value = 1 + 0.25 * normal
    elif leaf in ("bias", "beta", "shift", "running_mean"):
        value = 0.1 * normal
    elif leaf in ("weight", "weight_orig"):
        value = normal / np.sqrt(np.prod(shape[1:]))
    elif name.startswith(("input", "real", "fake", "x_")):
        value = np.tanh(normal)
    else:
        value = normal
    return torch.from_numpy(np.asarray(value, dtype=np.float32).reshape(shape))


@lru_cache(maxsize=256)
def _signs(size: int) -> Tensor:
    signs = np.random.RandomState(size).randint(0, 2, (PROJECTIONS, size)) * 2.0 - 1
    return torch.from_numpy(signs)


@dataclass(frozen=True)
class Summary:
    """What is kept of a tensor: its norm, projections on random sign vectors, and its first numbers.

    The root mean square of the differences of the projections estimates the norm of the difference of two tensors, so
    that a change of any element shows.
    """

    shape: tuple[int, ...]
    numbers: Tensor

    @classmethod
    def of(cls, value: Tensor) -> Summary:
        """Summarize `value` in float64."""
        flat = value.detach().double().flatten()
        return cls(tuple(value.shape), torch.cat([flat.norm()[None], _signs(flat.numel()) @ flat, flat[:LEADING]]))

    @property
    def norm(self) -> float:
        """Of the whole tensor."""
        return float(self.numbers[0])

    def distance(self, value: Tensor) -> float:
        """Estimate the norm of the difference from `value`."""
        assert value.shape == self.shape, (tuple(value.shape), self.shape)
        difference = (Summary.of(value).numbers - self.numbers).abs()
        projections = difference[1 : 1 + PROJECTIONS].square().mean().sqrt()
        return max(float(difference[0]), float(projections), float(difference[1 + PROJECTIONS :].norm()))


Expected = Tensor | Summary


class Figures(Mapping[str, Expected]):
    """One file of figures: tensors that are given whole, summaries of those that are expected.

    Args:
        values: by key.
        config: sizes, options and seeds of what was run.
    """

    def __init__(self, values: dict[str, Expected], config: dict[str, Any]) -> None:
        self._values, self.config = values, config

    def __getitem__(self, key: str) -> Expected:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def tensor(self, key: str) -> Tensor:
        """A value that the set holds whole."""
        value = self._values[key]
        assert isinstance(value, Tensor), f"{key} is only summarized in this set"
        return value

    def part(self, prefix: str) -> dict[str, Expected]:
        """Values whose key begins with `prefix`, without it."""
        return {key.removeprefix(prefix): value for key, value in self.items() if key.startswith(prefix)}

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """As `part`, of values that the set holds whole."""
        return {key.removeprefix(prefix): self.tensor(key) for key in self if key.startswith(prefix)}


def read(folder: Path, name: str) -> Figures:
    """Read `name` of either kind of set.

    Raises:
        FileNotFoundError: the set lacks the file.
    """
    if (arrays := folder / f"{name}.npz").is_file():
        return Figures({key: torch.from_numpy(value) for key, value in np.load(arrays).items()}, {})
    if (whole := folder / f"{name}.safetensors").is_file():
        with safe_open(whole, "pt") as file:
            values: dict[str, Expected] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no dict
            metadata = file.metadata() or {}
            config = metadata.pop("config", "{}")
            # Some files keep their settings one by one.
            return Figures(
                values,
                {key: json.loads(text) for key, text in metadata.items() if key != "source"} | json.loads(config),
            )
    content = json.loads((folder / f"{name}.json").read_text())
    state = np.random.RandomState(content.get("seed", 0))
    values = {key: draw(state, key, tuple(shape)) for key, shape in content.get("drawn", {}).items()}
    for key, (shape, dtype, numbers) in content.get("given", {}).items():
        values[key] = torch.tensor(numbers, dtype=getattr(torch, dtype)).reshape(shape)
    for key, (shape, numbers) in content.get("expected", {}).items():
        values[key] = Summary(tuple(shape), torch.tensor(numbers, dtype=torch.float64))
    return Figures(values, content["config"])


def write(
    path: Path, config: Mapping[str, Any], draws: Draws | None, seed: int, expected: Mapping[str, Tensor]
) -> None:
    """Write a file of the small set, one entry a line."""
    sections: dict[str, dict[str, Any]] = {"drawn": dict(draws.table) if draws else {}, "given": {}, "expected": {}}
    for key, value in expected.items():
        if value.numel() <= SMALL or not value.is_floating_point():
            dtype = str(value.dtype).removeprefix("torch.")
            sections["given"][key] = [list(value.shape), dtype, value.flatten().tolist()]
        else:
            summary = Summary.of(value)
            sections["expected"][key] = [list(summary.shape), summary.numbers.tolist()]
    lines = [f'"config": {json.dumps(config)}', f'"seed": {seed}']
    for name, section in sections.items():
        entries = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in section.items())
        lines.append(f'"{name}": {{\n  {entries}\n }}' if section else f'"{name}": {{}}')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")


def norm(expected: Expected) -> float:
    """Of a whole or summarized tensor."""
    return expected.norm if isinstance(expected, Summary) else float(expected.double().norm())


def distance(found: Tensor, expected: Expected) -> float:
    """Norm of the difference; estimated where the expected tensor is summarized."""
    if isinstance(expected, Summary):
        return expected.distance(found)
    assert found.shape == expected.shape, (tuple(found.shape), tuple(expected.shape))
    return float((found.detach().double() - expected.double()).norm())


def relative_error(found: Tensor | None, expected: Expected) -> float:
    """Distance relative to the expected norm; absolute where that is below 1e-9, as of a bias before a norm."""
    assert found is not None
    scale = norm(expected)
    return distance(found, expected) / (scale if scale > 1e-9 else 1.0)


def total(values: Iterator[float] | list[float]) -> float:
    """Norm of the concatenation of tensors that have the norms `values`."""
    return float(sum(value * value for value in values) ** 0.5)


class OfficialNames:
    """Our tensors under official names, whatever an importer does to them on the way (renaming, reshaping, splitting).

    The importer is run once on numbered elements; where each number arrives says how to put our tensors back.

    Args:
        convert: from official tensors by name to ours by name.
        official: the official tensors.
    """

    def __init__(
        self, convert: Callable[[dict[str, Tensor]], Mapping[str, Tensor]], official: Mapping[str, Tensor]
    ) -> None:
        self.shapes = {name: tuple(value.shape) for name, value in official.items()}
        numbered, self._starts, start = {}, {}, 0
        for name, value in official.items():
            if name.endswith(".filt"):
                numbered[name] = value  # A constant, which importers check.
                continue
            self._starts[name] = start
            dtype = torch.float64 if value.is_floating_point() else value.dtype
            numbered[name] = torch.arange(start, start + value.numel(), dtype=dtype).reshape(value.shape)
            start += value.numel()
        self._size = start
        self._places = {name: value.flatten().long() for name, value in convert(numbered).items()}

    def __call__(self, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those official tensors that our tensors `ours` fill; others are left out."""
        filled = torch.zeros(self._size, dtype=torch.bool)
        values = torch.zeros(self._size, dtype=torch.float64)
        for name, value in ours.items():
            if name in self._places:
                values[self._places[name]] = value.detach().double().flatten()
                filled[self._places[name]] = True
        found = {}
        for name, start in self._starts.items():
            span = slice(start, start + int(np.prod(self.shapes[name])))
            if filled[span].all():
                found[name] = values[span].reshape(self.shapes[name])
            else:
                assert not filled[span].any(), f"{name} is filled in part"
        return found
