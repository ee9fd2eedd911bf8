"""Files of one generator: vectors, projections, mappers and classifiers are safetensors with its hash."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from i2i.data.writing import write_whole
from i2i.errors import I2IError
from i2i.nn.weight_files import printable

T = TypeVar("T")
Facts = dict[str, Any]
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class GeneratorFile:
    """A format of files that belong to one generator.

    Args:
        key: of the facts in the metadata, such as `vector`.
        format: in the metadata, such as `i2i-edit vector 1`.
        name: what such a file is, for messages, such as "an editing vector".
        belongs: the same as a subject, such as "this vector belongs".
    """

    key: str
    format: str
    name: str
    belongs: str

    def packed(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> tuple[Tensors, dict[str, str]]:
        """Return the tensors and the metadata of a file; `facts` are JSON types and have the hash as `generator`."""
        contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        return contiguous, {"format": self.format, self.key: json.dumps(dict(facts))}

    def write(self, path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write a file, completely or not at all."""
        packed, metadata = self.packed(tensors, facts)
        write_whole(path, lambda temporary: save_file(packed, temporary, metadata))

    def read(self, path: Path, generator: str | None, parse: Callable[[Facts, Tensors], T]) -> T:
        """Read a file.

        Args:
            path: the file.
            generator: hash of the generator that it is for; None accepts any.
            parse: makes the result of the facts and the tensors; its ValueError says what is wrong with them.

        Raises:
            I2IError: the file is missing, is something else, or belongs to another generator.
        """
        if not path.is_file():
            raise I2IError(f"{path}: expected {self.name}, found {'a folder' if path.is_dir() else 'nothing'}")
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
            if metadata.get("format") != self.format:
                raise ValueError(f"its format is {metadata.get('format', 'not given')}")
            facts = json.loads(metadata[self.key])
            owner = str(facts["generator"])
            if generator is None or owner == generator:
                return parse(facts, tensors)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = printable(error).splitlines()[0]
            raise I2IError(f"{path}: expected {self.name}, found something else: {reason}") from error
        raise I2IError(f"{path}: {self.belongs} to another generator, {owner[:12]}; this run's is {generator[:12]}")


def check_suffix(path: Path) -> None:
    """Check the name of a file that is to be written.

    Raises:
        I2IError: its suffix is another one.
    """
    if path.suffix != ".safetensors":
        raise I2IError(f"{path}: expected a file that ends in .safetensors")
