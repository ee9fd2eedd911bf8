"""Files of other programs: whatever is done to their bytes, tensors or a message come out, and no code is run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from i2i.errors import CheckpointError
from i2i.nn.weight_files import load_weight_file

WEIGHTS = {"conv.weight": torch.arange(24.0).view(2, 3, 4), "steps": torch.tensor(3)}


def written(path: Path, content: Any, archive: bool) -> bytes:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path.read_bytes()


@pytest.mark.parametrize("archive", [True, False])
def test_any_damage_is_a_message_or_tensors(tmp_path: Path, archive: bool) -> None:
    path = tmp_path / "params.pt"
    whole = written(path, WEIGHTS, archive)
    assert isinstance(load_weight_file(path), dict)
    random, refused = Random(0), 0
    for _ in range(300):
        data = bytearray(whole)
        place, how = random.randrange(len(data)), random.choice(["flip", "cut", "put in", "largest"])
        if how == "flip":
            data[place] ^= 1 << random.randrange(8)
        elif how == "cut":
            del data[place:]
        elif how == "put in":
            data[place:place] = random.randbytes(random.choice([1, 4, 8]))
        else:  # sizes of 4 and 8 bytes, wherever they are declared
            data[place : place + 8] = b"\xff" * 8
        path.write_bytes(data)
        try:
            load_weight_file(path)
        except CheckpointError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017  # what is not damaged is welcome
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("archive", [True, False])
def test_sizes_that_nothing_backs_are_refused(tmp_path: Path, archive: bool) -> None:
    """A tensor of 2^40 elements, of which the file holds four."""
    path = tmp_path / "params.pt"
    whole = written(path, {"w": torch.zeros(3 * 2**20)[:4].clone()}, archive)
    tall = struct.pack("<BB", 0x8A, 6) + (2**40).to_bytes(6, "little")  # LONG1
    small = b"K\x04"  # BININT1 4, as the storage and the shape say it
    assert small in whole
    path.write_bytes(
        rewritten(whole, lambda data: data.replace(small, tall)) if archive else whole.replace(small, tall)
    )
    with pytest.raises(CheckpointError, match="found something else or a damaged one"):
        load_weight_file(path)


def rewritten(archive: bytes, change: Any, compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of `torch.save` with another pickle in it."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w", compression) as new:
        for entry in old.infolist():
            data = old.read(entry.filename)
            new.writestr(entry.filename, change(data) if entry.filename.endswith("data.pkl") else data)
    return made.getvalue()


def test_an_archive_that_grows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.pt"
    whole = written(path, WEIGHTS, archive=True)
    path.write_bytes(rewritten(whole, lambda data: data + bytes(2**24), zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match=r"a compressed archive; torch\.save does not compress"):
        load_weight_file(path)


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("how", ["archive", "older", "plain"])
def test_a_pickle_runs_nothing(tmp_path: Path, how: str) -> None:
    path, mark = tmp_path / "evil.pt", tmp_path / "run"
    if how == "plain":
        path.write_bytes(pickle.dumps(Evil(mark), protocol=2))
    else:
        written(path, {"w": torch.zeros(1), "x": Evil(mark)}, how == "archive")
    reason = "an unknown format" if how == "plain" else r"it holds more than tensors: loading it would call \w+"
    with pytest.raises(CheckpointError, match=reason):
        load_weight_file(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "expected a checkpoint file, found nothing"),
        (lambda path: path.mkdir(), "expected a checkpoint file, found a folder"),
        (lambda path: path.write_bytes(b""), "expected a file written by torch.save, found something else"),
        (lambda path: path.write_text("<html>404</html>"), "expected a file written by torch.save, found something"),
        (lambda path: path.write_bytes(b"PK\3\4" + bytes(99)), "the file is cut off: an archive without its end"),
    ],
)
def test_what_is_no_checkpoint_is_said(tmp_path: Path, make: Any, reason: str) -> None:
    make(tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=reason):
        load_weight_file(tmp_path / "x.pt")
