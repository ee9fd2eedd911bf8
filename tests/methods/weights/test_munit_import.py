"""MUNIT's and UNIT's own checkpoint files: in, out again to the bit, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import i2i
from i2i.core.contracts import Imported
from i2i.engine.importing import write_run
from i2i.errors import CheckpointError
from i2i.methods.weights.munit import munit_pytorch, unit_pytorch
from i2i.methods.weights.munit_names import export

IMPORTERS: dict[str, Callable[[Path], Imported]] = {"munit": munit_pytorch, "unit": unit_pytorch}


@pytest.fixture(params=["munit", "unit"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(golden: Path, method: str, tmp_path: Path) -> Path:
    """A copy of the official checkpoint's folder."""
    target = tmp_path / "official"
    shutil.copytree(golden / method / "traj_checkpoint", target, copy_function=shutil.copyfile)
    target.chmod(0o755)
    return target


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def states(path: Path) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = torch.load(path, weights_only=True)
    return found


def test_in_and_out_again_to_the_bit(folder: Path, method: str) -> None:
    imported = IMPORTERS[method](only(folder, "gen_*.pt"))
    assert imported.step == int(only(folder, "gen_*.pt").stem.removeprefix("gen_"))
    assert imported.recipe == method
    for kind, short in (("generator", "gen"), ("discriminator", "dis")):
        official, again = states(only(folder, f"{short}_*.pt")), export(imported.weights, kind, method)
        for domain in "ab":
            assert again[domain].keys() == official[domain].keys()
            for name, tensor in official[domain].items():
                assert torch.equal(again[domain][name], tensor), name


def test_a_run_that_translates(folder: Path, method: str, tmp_path: Path) -> None:
    imported = IMPORTERS[method](folder)
    write_run(imported, tmp_path / "run")
    loaded = i2i.load(tmp_path / "run", device="cpu")
    assert loaded.step == imported.step
    image = torch.rand(1, 3, 40, 48) * 2 - 1
    assert loaded.translate(image, "b").shape == image.shape
    for name, tensor in imported.weights.items():
        assert torch.equal(loaded.translator.state_dict()[name], tensor)
    if method == "munit":
        assert "dropped 16 statistics that nothing reads: a/dec.model.0" in imported.summary
        assert "styles of 5 numbers" in imported.summary


def test_generators_alone(folder: Path, method: str, tmp_path: Path) -> None:
    only(folder, "dis_*.pt").unlink()
    imported = IMPORTERS[method](folder)
    assert "beside it, so the discriminators start anew" in imported.summary
    write_run(imported, tmp_path / "run")
    assert i2i.load(tmp_path / "run", device="cpu").translate(torch.rand(3, 40, 40), "a").shape == (3, 40, 40)


def test_statistics_of_old_files_are_dropped(folder: Path, method: str) -> None:
    path = only(folder, "gen_*.pt")
    official = states(path)
    before = IMPORTERS[method](path)
    for state in official.values():
        content = "enc_content" if method == "munit" else "enc"
        state[f"{content}.model.0.norm.running_mean"] = torch.ones(4)
        state[f"{content}.model.0.norm.num_batches_tracked"] = torch.tensor(3)
    torch.save(official, path)
    after = IMPORTERS[method](path)
    assert before.weights.keys() == after.weights.keys()
    assert f"dropped {4 + (16 if method == 'munit' else 0)} statistics" in after.summary


def test_what_is_something_else_is_refused(folder: Path, method: str, tmp_path: Path) -> None:
    path = only(folder, "gen_*.pt")
    other = "unit" if method == "munit" else "munit"
    with pytest.raises(CheckpointError, match=f"expected a generator of the official {other.upper()}, which has "):
        IMPORTERS[other](path)
    official = states(path)
    torch.save({"a": official["a"]}, tmp_path / "gen_1.pt")
    with pytest.raises(CheckpointError, match=f"expected {method.upper()}'s state dicts a and b, found a$"):
        IMPORTERS[method](tmp_path / "gen_1.pt")
    torch.save([1], tmp_path / "gen_1.pt")
    with pytest.raises(CheckpointError, match="state dicts a and b, found a list"):
        IMPORTERS[method](tmp_path / "gen_1.pt")
    name = next(iter(official["b"]))
    lacking = {name_: value for name_, value in official["b"].items() if name_ != name}
    torch.save({"a": official["a"], "b": lacking}, tmp_path / "gen_1.pt")
    with pytest.raises(CheckpointError, match=f"b lacks {name}; expected the official {method.upper()}'s names"):
        IMPORTERS[method](tmp_path / "gen_1.pt")
    torch.save({"a": official["a"], "b": {**official["b"], name: torch.zeros(2, 3, 7, 7)}}, tmp_path / "gen_1.pt")
    with pytest.raises(CheckpointError, match=rf"b/{name} has shape \[2, 3, 7, 7\]; the other weights ask for \[4, 3,"):
        IMPORTERS[method](tmp_path / "gen_1.pt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"expected a folder with gen_<step>\.pt, found nothing"):
        IMPORTERS[method](tmp_path / "empty")
