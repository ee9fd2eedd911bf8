"""Tables of images, saved with Hugging Face `datasets` or as Parquet, read by that library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from i2i.data.sources.tree import Source
from i2i.errors import DataError, SourceError

PARQUET = ".parquet"
_SIGNATURES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\x00": ".tif",
    b"MM\x00*": ".tif",
}
_BATCH = 1000
_TEXTS = ("", ".md", ".txt", ".json", ".yaml", ".yml", ".csv")
"""What may lie next to Parquet files."""


class TableSource(Source):
    """The images of one or more tables as a tree, a file for each image of each row.

    Its folders are the splits, the image columns where there are several, and the classes where there is one column of
    classes: `train/horse/0000012.jpg`, or `train/imageA/0000012.png`.

    Args:
        name: the location as it was given.
        tables: the library's data sets by split; `""` for one without splits.
        notes: see `Source`.

    Raises:
        DataError: no column holds images.
    """

    def __init__(self, name: str, tables: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
        self.columns: dict[tuple[str, str], Any] = {}
        self.cells: dict[str, tuple[str, str, int]] = {}
        for split, table in tables.items():
            images = _image_columns(table)
            if not images:
                found = ", ".join(f"{column} ({kind})" for column, kind in table.features.items()) or "none"
                raise DataError(f"{name}: expected a column of images, got {found}")
            classes = _classes(table)
            for column in images:
                cells = _undecoded(table, column)
                self.columns[split, column] = cells
                for row, suffix in enumerate(_suffixes(cells, column)):
                    folders = (split, column if len(images) > 1 else "", classes[row] if classes else "")
                    file = "/".join(filter(None, (*folders, f"{row:07}{suffix}")))
                    self.cells[file] = split, column, row
        rows = ", ".join(f"{split or 'rows'} {len(table)}" for split, table in tables.items())
        super().__init__(name, self.cells, (*notes, f"table of {rows}"))

    def read(self, name: str) -> bytes:
        split, column, row = self.cells[name]
        try:
            data = _bytes(self.columns[split, column][row][column])
        except Exception as error:  # pyarrow has its own exceptions for a file that was cut off or is gone
            raise SourceError(f"{self.name} cannot be read: {' '.join(str(error).split())}") from error
        if data is None:
            raise DataError("the table holds no bytes of this image, at most the path of a file elsewhere")
        return data


def open_tables(path: Path, name: str, notes: Sequence[str] = ()) -> TableSource:
    """Opens what `is_table` accepts.

    Args:
        path: a folder or a file.
        name: what messages call it.
        notes: see `Source`.

    Raises:
        DataError: the library is not installed, or cannot read it.
    """
    library = _datasets()
    try:
        if path.is_file():
            opened = library.load_dataset("parquet", data_files=str(path), split="train")
        elif _saved_to_disk(path):
            opened = library.load_from_disk(str(path))
        else:
            opened = library.load_dataset(str(path))
    except Exception as error:  # of the library and of pyarrow
        reason = error.__cause__ or error
        raise DataError(f"{name} cannot be read by datasets: {' '.join(str(reason).split())}") from error
    tables = dict(opened) if isinstance(opened, library.DatasetDict) else {"": opened}
    return TableSource(name, tables, notes)


def is_table(path: Path) -> bool:
    """Whether a path is a data set saved to disk, a Parquet file, or a folder of Parquet files."""
    if path.is_file():
        return path.suffix.lower() == PARQUET
    return _saved_to_disk(path) or _is_parquet_folder(path)


def _is_parquet_folder(path: Path) -> bool:
    """Whether Parquet files lie in a folder or in its folder `data`, as on the hub, and next to them only texts."""
    found = False
    for entry in path.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.suffix.lower() not in (PARQUET, *_TEXTS) or (entry.is_dir() and entry.name != "data"):
            return False
        found = found or entry.suffix.lower() == PARQUET or any(entry.glob(f"*{PARQUET}"))
    return found


def _saved_to_disk(path: Path) -> bool:
    single = (path / "state.json").is_file() and (path / "dataset_info.json").is_file()
    return single or (path / "dataset_dict.json").is_file()


def _datasets() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise DataError("tables are read with datasets, which is not installed; pip install 'i2i[datasets]'") from error
    datasets.disable_progress_bars()
    return cast(ModuleType, datasets)


def _image_columns(table: Any) -> list[str]:
    """Columns of images: of the library's own type, of bytes, or of structures that hold bytes."""
    library = _datasets()

    def holds_images(kind: Any) -> bool:
        if isinstance(kind, library.Value):
            return kind.dtype in ("binary", "large_binary")
        return isinstance(kind, library.Image) or (isinstance(kind, dict) and "bytes" in kind)

    return [column for column, kind in table.features.items() if holds_images(kind)]


def _classes(table: Any) -> list[str]:
    """The class of each row by name, if there is one column of classes."""
    named = [column for column, kind in table.features.items() if isinstance(kind, _datasets().ClassLabel)]
    if len(named) != 1:
        return []
    names = table.features[named[0]].names
    numbers = table.select_columns(named)[:][named[0]]
    return [
        names[number].replace("/", "_") if number is not None and number >= 0 else "unlabeled" for number in numbers
    ]


def _undecoded(table: Any, column: str) -> Any:
    library = _datasets()
    alone = table.with_format(None).select_columns([column])
    is_image = isinstance(table.features[column], library.Image)
    return alone.cast_column(column, library.Image(decode=False)) if is_image else alone


def _suffixes(cells: Any, column: str) -> list[str]:
    """The suffix of each image: that of its recorded path, or else of the first image's format."""
    suffixes: list[str] = []
    if isinstance(cells.features[column], _datasets().Value):
        suffixes = [""] * len(cells)
    else:
        import pyarrow.compute

        for batch in cells.with_format("arrow").iter(_BATCH):
            kind = batch.schema.field(column).type
            has_path = kind.get_field_index("path") >= 0
            paths = pyarrow.compute.struct_field(batch[column], "path").to_pylist() if has_path else [None] * len(batch)
            suffixes += [Path(path).suffix.lower() if path else "" for path in paths]
    if "" in suffixes and len(cells):
        start = (_bytes(cells[suffixes.index("")][column]) or b"")[:12]
        known = next((suffix for magic, suffix in _SIGNATURES.items() if start.startswith(magic)), ".png")
        known = ".webp" if start[8:12] == b"WEBP" else known
        suffixes = [suffix or known for suffix in suffixes]
    return suffixes


def _bytes(cell: Any) -> bytes | None:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    return bytes(data) if data is not None else None
