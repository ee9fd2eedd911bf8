"""Vectors are scaled and added, survive their file, and are refused by another generator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from i2i_edit.vectors import EditVector, generator_hash, load_vector, save_vector
from torch import nn

from i2i.errors import I2IError


@pytest.fixture
def smile() -> EditVector:
    return EditVector("smile", "a" * 64, torch.eye(3, 4), {"b8.conv0": torch.ones(5)}, "sefa", {"accuracy": 0.9})


def test_a_file_returns_what_was_written(smile: EditVector, tmp_path: Path) -> None:
    save_vector(smile, tmp_path / "deep" / "smile.safetensors")
    read = load_vector(tmp_path / "deep" / "smile.safetensors", "a" * 64)
    assert (read.name, read.generator, read.method, read.notes) == ("smile", "a" * 64, "sefa", {"accuracy": 0.9})
    assert torch.equal(read.ws, smile.ws)
    assert torch.equal(read.styles["b8.conv0"], torch.ones(5))


def test_vectors_are_scaled_and_added(smile: EditVector) -> None:
    hair = EditVector("hair", "a" * 64, None, {"b8.conv0": torch.ones(5), "b8.conv1": torch.ones(2)})
    both = smile * 2 + hair * -1
    assert torch.equal(both.ws, 2 * torch.eye(3, 4))
    assert torch.equal(both.styles["b8.conv0"], torch.ones(5))
    assert torch.equal(both.styles["b8.conv1"], -torch.ones(2))


def test_another_generator_refuses_a_vector(smile: EditVector, tmp_path: Path) -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert generator_hash(one) == generator_hash(one) != generator_hash(other)
    save_vector(smile, tmp_path / "smile.safetensors")
    with pytest.raises(I2IError, match=r"smile.safetensors: this vector belongs to another generator, a{12}; this"):
        load_vector(tmp_path / "smile.safetensors", generator_hash(one))
    with pytest.raises(I2IError, match="vectors smile and frown belong to different generators"):
        smile + EditVector("frown", "b" * 64)


def test_other_files_are_no_vectors(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(I2IError, match="expected an editing vector, found something else"):
        load_vector(tmp_path / "text.safetensors")
    with pytest.raises(I2IError, match="expected an editing vector, found nothing"):
        load_vector(tmp_path / "none.safetensors")
