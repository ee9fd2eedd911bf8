"""Pairs of images with a class."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from i2i.core.contracts import Stream
from i2i.core.spelling import did_you_mean
from i2i.data.listing import relative_path
from i2i.data.paired import Paired
from i2i.data.sources.locate import Place
from i2i.errors import DataError, OptionError


def read_labels(file: Path, classes: Sequence[str]) -> dict[str, str]:
    """Return the class of each file that a CSV file lists in its columns `file` and `label`.

    Args:
        file: the CSV file, UTF-8 with a header.
        classes: names of the classes.

    Raises:
        DataError: the file cannot be read, a column is missing, or a label is no class; names the line.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if missing := [column for column in ("file", "label") if column not in (rows.fieldnames or ())]:
                found = ", ".join(rows.fieldnames or ()) or "none"
                raise DataError(f"{file}: expected the columns file and label, got {found}; {missing[0]} is missing")
            labels: dict[str, str] = {}
            for row in rows:
                if row["label"] not in classes:
                    near = did_you_mean(str(row["label"]), classes)
                    raise DataError(
                        f"{file}:{rows.line_num}: {row['label']!r} is no class.{near} Classes: {', '.join(classes)}"
                    )
                labels[Path(str(row["file"])).with_suffix("").as_posix()] = row["label"]
            return labels
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {file}: {error}") from error


class ClassPairs(Paired):
    """Pairs of images with a class, the number of the stream `label`.

    Args:
        classes: names of the classes, in the order of their numbers.
        labels: CSV file with the columns `file` (path within the folder of training pairs) and `label`. Without it, the
            class of a pair is the first subfolder that it is in.
        options: those of `paired`.

    Raises:
        DataError: a pair has no class, or one that is not in `classes`.
        OptionError: fewer than two classes.
    """

    def __init__(self, classes: tuple[str, ...] = (), labels: Path | None = None, **options: Any) -> None:
        self.check_classes(classes)
        self.classes, self.labels = classes, None if labels is None else Path(labels).expanduser()
        super().__init__(**options)
        table = None if self.labels is None else read_labels(self.labels, classes)
        self._numbers = [classes.index(self._class_of(cast(Place, file), table)) for file, *_ in self.train.items]

    @staticmethod
    def check_classes(classes: tuple[str, ...]) -> None:
        """Refuse fewer than two classes."""
        if len(set(classes)) < max(2, len(classes)):
            raise OptionError("classes", f"expected the names of at least two different classes, got {list(classes)}")

    @classmethod
    def declare_streams(cls, options: Mapping[str, Any]) -> dict[str, Stream]:
        label = Stream("label", len(options["classes"]), names=tuple(options["classes"]))
        return super().declare_streams(options) | {"label": label}

    def further(self, index: int) -> dict[str, Tensor]:
        """Return the number of the class of a training pair, as `label`."""
        return {"label": torch.tensor(self._numbers[index])}

    def _class_of(self, file: Place, table: Mapping[str, str] | None) -> str:
        assert self.folder is not None
        inside = relative_path(file, self.folder)
        if table is not None:
            found = table.get(inside.with_suffix("").as_posix())
            if found is None:
                raise DataError(f"{file} has no class: {self.labels} does not list it as {inside.as_posix()}")
            return found
        name = inside.parts[0] if len(inside.parts) > 1 else ""
        if name not in self.classes:
            got = f"the subfolder {name!r}" if name else "no subfolder"
            raise DataError(f"{file} has no class: expected a subfolder of {', '.join(self.classes)}, got {got}")
        return name
