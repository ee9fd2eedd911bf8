"""Released generators under their official names: imported, used, and given back to the bit; the rest is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_cartoongan.anime_generator import AnimeGenerator
from i2i_cartoongan.cartoon_generator import CartoonGenerator
from i2i_cartoongan.importers import ANIMEGAN2, CARTOONGAN, animegan2_pytorch, cartoongan_pytorch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import i2i
from i2i.core.contracts import Imported
from i2i.core.kinds import IMPORTER
from i2i.core.plugins import default_registry
from i2i.engine.importing import write_run
from i2i.errors import CheckpointError
from i2i.methods.weights.weight_map import Format

State = dict[str, Tensor]
Read = Callable[[Path], Imported]
RELEASES = [
    (CARTOONGAN, cartoongan_pytorch, CartoonGenerator, "cartoongan", 3),
    (ANIMEGAN2, animegan2_pytorch, AnimeGenerator, "animegan2", 2),
]


def released(network: Callable[..., nn.Module], official: Format, blocks: int, path: Path) -> State:
    """A small generator as its authors would have saved it."""
    torch.manual_seed(0)
    ours = {name: torch.randn_like(value) for name, value in network(channels=4, blocks=blocks).state_dict().items()}
    state = official.networks["G"].export(ours)
    torch.save(state, path)
    return state


@pytest.mark.parametrize(("official", "read", "network", "recipe", "blocks"), RELEASES)
def test_round_trip_through_a_run(
    official: Format, read: Read, network: Any, recipe: str, blocks: int, tmp_path: Path
) -> None:
    state = released(network, official, blocks, tmp_path / "Hayao_net_G_float.pth")
    imported = read(tmp_path / "Hayao_net_G_float.pth")
    assert imported.recipe == recipe
    assert imported.untrained == ("discriminators",)
    assert imported.summary.startswith(
        f"{official.method}, recipe {recipe}; generator: channels = 4, blocks = {blocks}"
    )
    assert "discriminators starts from scratch: the checkpoint has no weights for it" in imported.notes
    # The losses' features need not be there for an import.
    missing = "losses.content.features={ type = 'timm', weights = 'nowhere.pth' }"
    folder = write_run(imported, tmp_path / "run", ["data.size=32", missing])
    exported = official.export(load_file(folder / "translator.safetensors"))["G"]
    assert exported.keys() == state.keys()
    assert all(torch.equal(exported[name], value) for name, value in state.items())
    image = i2i.load(tmp_path / "run", "cpu").translate(torch.rand(1, 3, 32, 32) * 2 - 1, "b")
    assert image.shape == (1, 3, 32, 32)
    assert image.isfinite().all()


def saved(state: State, path: Path, way: str) -> None:
    wrapped = {f"module.{name}": value for name, value in state.items()}
    if way == "safetensors":
        save_file(state, path)
    else:
        content: Any = {"DataParallel": wrapped, "state_dict": {"epoch": 1, "state_dict": state}, "G": {"G": wrapped}}
        torch.save(content[way], path)


@pytest.mark.parametrize("way", ["DataParallel", "state_dict", "G", "safetensors"])
@pytest.mark.parametrize(("official", "read", "network", "recipe", "blocks"), RELEASES)
def test_every_way_of_saving(
    official: Format, read: Read, network: Any, recipe: str, blocks: int, way: str, tmp_path: Path
) -> None:
    state = released(network, official, blocks, tmp_path / "plain.pt")
    expected = read(tmp_path / "plain.pt")
    saved(state, tmp_path / "other.pt", way)
    imported = read(tmp_path / "other.pt")
    assert imported.settings == expected.settings
    assert all(torch.equal(imported.weights[name], value) for name, value in expected.weights.items())
    if way in ("DataParallel", "G"):
        assert f"removed the prefix 'module.' from {len(state)} names" in imported.notes


def test_cartoongans_weights_get_their_colours_as_bgr(tmp_path: Path) -> None:
    released(CartoonGenerator, CARTOONGAN, 1, tmp_path / "net_G.pth")
    imported = cartoongan_pytorch(tmp_path / "net_G.pth")
    assert imported.settings["translator.generator.channel_order"] == "bgr"
    write_run(imported, tmp_path / "run", ["data.size=32"])
    plain = CartoonGenerator(channels=4, blocks=1)
    plain.load_state_dict({name.removeprefix("generator."): value for name, value in imported.weights.items()})
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        expected = plain(image.flip(1)).image.flip(1)
    torch.testing.assert_close(i2i.load(tmp_path / "run", "cpu").translate(image, "b"), expected)


def test_what_is_ignored_is_named(tmp_path: Path) -> None:
    state = released(CartoonGenerator, CARTOONGAN, 1, tmp_path / "net_G.pth")
    torch.save({**state, "in01_1.running_mean": torch.zeros(4)}, tmp_path / "net_G.pth")
    notes = cartoongan_pytorch(tmp_path / "net_G.pth").notes
    assert "ignored 1 tensors that i2i does not need: G.in01_1.running_mean" in notes


def without(name: str) -> Callable[[State], Any]:
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("conv01_1.weight"), "G lacks conv01_1.weight; it has conv01_1.bias, "),
        (without("in02_1.shift"), "G lacks in02_1.shift"),
        (lambda state: {**state, "conv99_9.weight": state["conv01_1.bias"]}, "G has unknown conv99_9.weight"),
        (
            lambda state: {**state, "conv02_2.bias": torch.zeros(3)},
            "G.conv02_2.bias has shape [3]; the other weights ask for [8]",
        ),
        (lambda state: {"weird": state}, "expected the state dict of CartoonGAN's generator, found weird"),
        (lambda state: [1], "expected the state dict of CartoonGAN's generator, found a list"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: Callable[[State], Any], message: str, tmp_path: Path) -> None:
    torch.save(change(released(CartoonGenerator, CARTOONGAN, 1, tmp_path / "net_G.pth")), tmp_path / "net_G.pth")
    with pytest.raises(CheckpointError, match=re.escape(message)):
        cartoongan_pytorch(tmp_path / "net_G.pth")


def test_each_others_files_are_refused(tmp_path: Path) -> None:
    released(AnimeGenerator, ANIMEGAN2, 1, tmp_path / "paprika.pt")
    with pytest.raises(CheckpointError, match=re.escape("G lacks conv01_1.weight; it has block_a.0.1.")):
        cartoongan_pytorch(tmp_path / "paprika.pt")
    released(CartoonGenerator, CARTOONGAN, 1, tmp_path / "net_G.pth")
    with pytest.raises(CheckpointError, match=re.escape("G lacks block_a.0.1.weight; it has conv01_1.")):
        animegan2_pytorch(tmp_path / "net_G.pth")


def test_both_are_registered() -> None:
    names = default_registry().names(IMPORTER)
    assert {"cartoongan-pytorch", "animegan2-pytorch"} <= set(names)
