"""Released generators under their official names: read, used, given back to the bit; everything else is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_cartoongan import importers
from i2i_cartoongan.importers import ANIMEGAN2, CARTOONGAN, Source, animegan2_pytorch, cartoongan_pytorch
from safetensors.torch import load_file
from torch import Tensor

import i2i
from i2i.core.contracts import Imported
from i2i.core.kinds import IMPORTER
from i2i.core.plugins import default_registry
from i2i.engine.importing import write_run
from i2i.errors import CheckpointError

State = dict[str, Tensor]
Read = Callable[[Path], Imported]
RELEASES = [(CARTOONGAN, cartoongan_pytorch, "cartoongan", 3), (ANIMEGAN2, animegan2_pytorch, "animegan2", 2)]


def released(source: Source, blocks: int, path: Path) -> State:
    """A small generator as its authors would have saved it."""
    torch.manual_seed(0)
    own = source.network(channels=4, blocks=blocks).state_dict()
    state = {name: torch.randn_like(own[ours]) for name, ours in importers._names(source, blocks, own).items()}
    torch.save(state, path)
    return state


@pytest.mark.parametrize(("source", "read", "recipe", "blocks"), RELEASES)
def test_round_trip_through_a_run(source: Source, read: Read, recipe: str, blocks: int, tmp_path: Path) -> None:
    wanted = released(source, blocks, tmp_path / "Hayao_net_G_float.pth")
    imported = read(tmp_path / "Hayao_net_G_float.pth")
    assert imported.recipe == recipe
    assert imported.untrained == ("discriminators",)
    assert imported.summary.startswith(f"{source.method}, a generator of 4 channels and {blocks} blocks")
    assert imported.summary.endswith("; no discriminator, which begins anew; no optimizer state")
    assert ("BGR" in imported.summary) == (source is CARTOONGAN)
    # The losses' features need not be there for an import.
    missing = "losses.content.features={ type = 'timm', weights = 'nowhere.pth' }"
    folder = write_run(imported, tmp_path / "run", ["data.size=32", missing])
    state = importers.export(source, load_file(folder / "translator.safetensors"))
    assert state.keys() == wanted.keys()
    assert all(torch.equal(state[name], value) for name, value in wanted.items())
    made = i2i.load(tmp_path / "run", "cpu").translate(torch.rand(1, 3, 32, 32) * 2 - 1, "b")
    assert made.shape == (1, 3, 32, 32)
    assert made.isfinite().all()


def test_cartoongans_weights_get_their_colours_as_bgr(tmp_path: Path) -> None:
    released(CARTOONGAN, 1, tmp_path / "net_G.pth")
    imported = cartoongan_pytorch(tmp_path / "net_G.pth")
    assert imported.settings["translator.generator.channel_order"] == "bgr"
    write_run(imported, tmp_path / "run", ["data.size=32"])
    plain = CARTOONGAN.network(channels=4, blocks=1)
    plain.load_state_dict({name.removeprefix("generator."): value for name, value in imported.weights.items()})
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        expected = plain(image.flip(1)).image.flip(1)
    torch.testing.assert_close(i2i.load(tmp_path / "run", "cpu").translate(image, "b"), expected)


def test_the_official_size_has_the_official_names(golden: Path) -> None:
    import json

    for folder, source, blocks in (("cartoongan", CARTOONGAN, 8), ("animegan2", ANIMEGAN2, 4)):
        with torch.device("meta"):
            own = source.network().state_dict()
        shapes = json.loads((golden / folder / "weights_check.json").read_text())["tensors"]
        names = importers._names(source, blocks, own)
        assert {name: list(own[ours].shape) for name, ours in names.items()} == {
            name: one["shape"] for name, one in shapes.items()
        }


def test_what_is_dropped_is_named(tmp_path: Path) -> None:
    state = released(CARTOONGAN, 1, tmp_path / "net_G.pth")
    torch.save({**state, "in01_1.running_mean": torch.zeros(4)}, tmp_path / "net_G.pth")
    summary = cartoongan_pytorch(tmp_path / "net_G.pth").summary
    assert "; dropped 1 running statistics that the norms do not use: in01_1.running_mean;" in summary


def without(name: str) -> Callable[[State], Any]:
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("conv01_1.weight"), "expected CartoonGAN's conv01_1.weight, found conv01_1.bias, "),
        (without("in02_1.shift"), "no generator of CartoonGAN with 4 channels and 1 blocks: it lacks in02_1.shift"),
        (lambda state: {**state, "conv99_9.weight": state["conv01_1.bias"]}, "it has conv99_9.weight beside"),
        (
            lambda state: {**state, "conv02_2.bias": torch.zeros(3)},
            "conv02_2.bias has shape [3]; the other weights ask for [8]",
        ),
        (lambda state: {"G": state}, "expected the plain state dict of a generator, found G"),
        (lambda state: [1], "expected the plain state dict of a generator, found a list"),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[[State], Any], message: str, tmp_path: Path) -> None:
    torch.save(change(released(CARTOONGAN, 1, tmp_path / "net_G.pth")), tmp_path / "net_G.pth")
    with pytest.raises(CheckpointError, match=re.escape(message)):
        cartoongan_pytorch(tmp_path / "net_G.pth")


def test_each_others_files_are_refused(tmp_path: Path) -> None:
    released(ANIMEGAN2, 1, tmp_path / "paprika.pt")
    with pytest.raises(CheckpointError, match=re.escape("expected CartoonGAN's conv01_1.weight, found block_a.0.1.")):
        cartoongan_pytorch(tmp_path / "paprika.pt")
    released(CARTOONGAN, 1, tmp_path / "net_G.pth")
    with pytest.raises(CheckpointError, match=re.escape("expected AnimeGANv2's block_a.0.1.weight, found conv01_1.")):
        animegan2_pytorch(tmp_path / "net_G.pth")


def test_both_are_registered() -> None:
    names = default_registry().names(IMPORTER)
    assert {"cartoongan-pytorch", "animegan2-pytorch"} <= set(names)
