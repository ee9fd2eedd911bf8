"""Network pickles: what is read, and that nothing in them is executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_stylegan import importers
from i2i_stylegan.pickles import ALLOWED, load_pickle

from i2i.cli import run as command
from i2i.errors import CheckpointError


def written(path: Path, module: str, name: str, *arguments: Any) -> Path:
    """Write a pickle of {"G_ema": module.name(*arguments)} by its opcodes."""
    head = b"\x80\x02}U\x05G_emac" + f"{module}\n{name}\n".encode()
    body = b"(" + b"".join(pickle.dumps(one, protocol=2)[2:-1] for one in arguments) + b"tR"
    path.write_bytes(head + body + b"s.")
    return path


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch_utils.persistence", "exec"),
        ("collections", "OrderedDict.fromkeys"),
        ("numpy", "load"),
        ("i2i_stylegan.pickles", "load_pickle"),
    ],
)
def test_a_hostile_pickle_does_nothing(
    module: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "touched"
    file = written(tmp_path / "network.pkl", module, name, f"touch {target}")
    with pytest.raises(CheckpointError, match="refused, since it holds more than networks"):
        load_pickle(file)
    assert not target.exists()
    assert command(["import", "stylegan2-nvlabs", str(file), "--output", str(tmp_path / "run")]) == 2
    assert f"{module}.{name}" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_source_text_in_a_module_is_not_run(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    source = f"import pathlib; pathlib.Path({str(target)!r}).touch()"
    state = {"_parameters": {}, "_buffers": {}, "_modules": {}, "_init_kwargs": {}}
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": "Generator", "state": state}
    file = written(tmp_path / "network.pkl", "torch_utils.persistence", "_reconstruct_persistent_obj", meta)
    assert load_pickle(file)["G_ema"].class_name == "Generator"
    assert not target.exists()
    with pytest.raises(CheckpointError, match="expected a generator of StyleGAN2, found one of an unknown kind"):
        importers.nvlabs(file)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tflib", "a pickle of the TensorFlow version"),
        ("cut", "damaged"),
        ("other", "with the network G_ema"),
    ],
)
def test_other_files_are_refused(name: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.pkl"
    if name == "tflib":
        written(file, "dnnlib.tflib.network", "Network", "x")
    else:
        data = pickle.dumps({"weights": [1, 2, 3]}, protocol=2)
        file.write_bytes(data[:-8] if name == "cut" else data)
    with pytest.raises(CheckpointError, match=message):
        load_pickle(file)


def test_a_pickle_of_stylegan3_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Network:
        def tensors(self) -> dict[str, torch.Tensor]:
            return {"synthesis.L0_36_512.weight": torch.zeros(1)}

    monkeypatch.setattr(importers, "load_pickle", lambda path: {"G_ema": Network()})
    with pytest.raises(CheckpointError, match="expected a generator of StyleGAN2, found one of StyleGAN3"):
        importers.nvlabs(tmp_path / "stylegan3.pkl")


def test_arrays_in_a_pickle_of_stylegan3_get_the_same_sentence(tmp_path: Path) -> None:
    file = written(tmp_path / "network.pkl", "numpy.core.multiarray", "_reconstruct", "class SynthesisInput(Module)")
    with pytest.raises(CheckpointError, match="expected a generator of StyleGAN2, found one of StyleGAN3"):
        load_pickle(file)


def test_tensors_stay_within_their_data() -> None:
    rebuild = ALLOWED["torch._utils", "_rebuild_tensor_v2"]
    storage = torch.arange(6.0).storage()
    assert rebuild(storage, 0, (2, 3), (3, 1), False, {}).tolist() == [[0, 1, 2], [3, 4, 5]]
    for offset, size, stride in ((1, (2, 3), (3, 1)), (0, (2, 3), (4, 1)), (-1, (2,), (1,)), (0, (2**41,), (0,))):
        with pytest.raises(ValueError, match="a tensor of"):
            rebuild(storage, offset, size, stride, False, {})
