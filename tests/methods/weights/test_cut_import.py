"""Official CUT checkpoints: read and given back to the bit; everything else is refused with a reason."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.engine.importing import write_run
from i2i.errors import CheckpointError
from i2i.methods.weights.cut import PREFIXES, cut_pytorch, export
from i2i.use.loaded import load


def modules(loaded: Any) -> dict[str, Any]:
    translator = loaded.translator
    return {name: translator.get_submodule(prefix.rstrip(".")) for name, prefix in PREFIXES.items()}


@pytest.fixture
def folder(golden: Path, tmp_path: Path) -> Path:
    """A copy of an official checkpoint, for a test to damage."""
    return Path(shutil.copytree(golden / "cut" / "traj_cut_checkpoint", tmp_path / "official"))


@pytest.mark.parametrize("variant", ["cut", "fastcut"])
def test_official_checkpoint_comes_back_to_the_bit(golden: Path, tmp_path: Path, variant: str) -> None:
    official = golden / "cut" / f"traj_{variant}_checkpoint"
    imported = cut_pytorch(official)
    assert imported.recipe == "cut"
    assert imported.summary == (
        f"CUT, a generator of {imported.settings['translator.generator.channels']} channels and 9 blocks, antialiased "
        "in halving and doubling; dropped the blurs' filters, which are constants; no optimizer state"
    )
    write_run(imported, tmp_path / "run", ["data.size=32", "data.type=portraits"])
    loaded = load(tmp_path / "run", "cpu")
    for name, state in export(modules(loaded)).items():
        expected = torch.load(official / f"latest_net_{name}.pth", weights_only=True)
        assert state.keys() == expected.keys()
        for key, value in expected.items():
            assert state[key].dtype == value.dtype
            assert torch.equal(state[key], value), key
    assert loaded.translate(torch.zeros(1, 3, 32, 32), "b").shape == (1, 3, 32, 32)


def test_generator_alone(folder: Path) -> None:
    whole = cut_pytorch(folder)
    for name in "DF":
        (folder / f"latest_net_{name}.pth").unlink()
    alone = cut_pytorch(folder / "latest_net_G.pth")
    assert "the discriminator and the heads start anew, for want of a file" in alone.summary
    for name, value in whole.weights.items():
        if name.startswith("generator."):
            assert torch.equal(alone.weights[name], value)
    again = cut_pytorch(folder)
    assert all(torch.equal(again.weights[name], value) for name, value in alone.weights.items())
    assert whole.settings["translator.taps"] == alone.settings["translator.taps"]


def test_other_layers_are_guessed_from_the_heads(folder: Path) -> None:
    heads = torch.load(folder / "latest_net_F.pth", weights_only=True)
    fewer = {name: value for name, value in heads.items() if name.startswith(("mlp_0.", "mlp_1."))}
    torch.save(fewer, folder / "latest_net_F.pth")
    imported = cut_pytorch(folder)
    assert imported.settings["translator.taps"] == ["image", "down.0.conv"]
    assert "which layers were tapped is a guess (translator.taps)" in imported.summary
    torch.save({}, folder / "latest_net_F.pth")  # netF = sample learns nothing
    assert cut_pytorch(folder).settings["translator.width"] == "none"


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        ("G", lambda state: {"weight": torch.zeros(1)}, r"G\.pth: expected the generator of CUT, found weight"),
        ("G", lambda state: [1, 2], r"G\.pth: expected the state dict of one of CUT's networks, found a list"),
        ("G", lambda state: {**state, "extra": torch.zeros(1)}, r"G\.pth: has unknown extra; expected the names"),
        ("G", lambda state: {**state, "model.7.filt": state["model.7.filt"] * 2}, r"G\.pth: model\.7\.filt is another"),
        ("D", lambda state: {**state, "model.3.bias": torch.zeros(3)}, r"D\.pth: model\.3\.bias has shape \[3\]; the"),
        (
            "F",
            lambda state: {"mlp_0.0.weight": torch.zeros(4, 99)},
            r"F\.pth: heads for features of 99 channels fit no",
        ),
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, network: str, change: Any, message: str) -> None:
    file = folder / f"latest_net_{network}.pth"
    torch.save(change(torch.load(file, weights_only=True)), file)
    with pytest.raises(CheckpointError, match=message):
        cut_pytorch(folder)


def test_files_that_are_not_there(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a checkpoint file, found nothing"):
        cut_pytorch(folder.parent)
    with pytest.raises(CheckpointError, match=r"expected the generator's file, such as latest_net_G\.pth"):
        cut_pytorch(folder / "latest_net_D.pth")
