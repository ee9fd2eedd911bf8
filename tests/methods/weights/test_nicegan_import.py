"""Official NICE-GAN checkpoints: read and given back to the bit; everything else is refused with a reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.core.kinds import IMPORTER
from i2i.engine.importing import write_run
from i2i.errors import CheckpointError
from i2i.methods.assembly import build
from i2i.methods.weights.nicegan import PREFIXES, PROFILE, convert, export, nicegan_pytorch, without_profile
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import load

Networks = dict[str, dict[str, Tensor]]
EXPECTED = "expected NICE-GAN's networks gen2B, gen2A, disA, disB"


@pytest.fixture
def files(golden: Path) -> dict[bool, Path]:
    """The two official checkpoints, by whether the profiler left its counters."""
    found = sorted((golden / "nicegan" / "traj_checkpoint").glob("*.pt"))
    return {"profiled" in path.name: path for path in found}


@pytest.fixture
def networks(files: dict[bool, Path]) -> Networks:
    """The four networks, for a test to damage."""
    loaded = torch.load(files[False], weights_only=True)
    return {name: dict(loaded[name]) for name in PREFIXES}


def saved(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "params.pt")
    return folder / "params.pt"


def refused(path: Path, reason: str) -> None:
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{path}: {reason}')}$"):
        nicegan_pytorch(path)


@pytest.mark.parametrize("profiled", [False, True])
def test_official_checkpoint(files: dict[bool, Path], profiled: bool) -> None:
    read = nicegan_pytorch(files[profiled])
    official = torch.load(files[profiled], weights_only=True)
    assert read.recipe == "nicegan"
    assert read.step == official["start_iter"]
    back = export(read.weights)
    assert back.keys() == PREFIXES.keys()
    counters = 0
    for network in PREFIXES:
        state = without_profile(official[network])
        counters += len(official[network]) - len(state)
        assert back[network].keys() == state.keys()
        for key, value in state.items():
            assert back[network][key].dtype == value.dtype
            assert torch.equal(back[network][key], value), key
    assert (counters > 0) == profiled
    dropped = ["D_optimizer", "G_optimizer", *(PROFILE if profiled else ())]
    assert read.summary.endswith(f"whose encoders the generators need; dropped: {', '.join(dropped)}")


def test_weights_load_strictly_and_translate(files: dict[bool, Path], tmp_path: Path) -> None:
    read = nicegan_pytorch(files[True])
    build(Recipe.read(read.recipe, read.settings)).load_state_dict(read.weights)
    write_run(read, tmp_path / "run")
    loaded = load(tmp_path / "run", device="cpu")
    assert loaded.step == read.step
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    made = loaded.run(image, "b")
    assert made.image.shape == image.shape
    assert made.heatmap is not None


@pytest.mark.parametrize("file", ["traj_init", "traj_final_f64"])
def test_round_trip_of_the_trajectories(golden: Path, file: str) -> None:
    networks: Networks = {name: {} for name in PREFIXES}
    for name, value in load_file(golden / "nicegan" / f"{file}.safetensors").items():
        network, _, key = name.partition("/")
        networks[network][key] = value
    back = export(convert(networks))
    for network, state in networks.items():
        assert back[network].keys() == state.keys()
        for key, value in state.items():
            assert back[network][key].dtype == value.dtype
            assert torch.equal(back[network][key], value), key


def test_registered() -> None:
    assert IMPORTER("nicegan-pytorch").component is nicegan_pytorch


def test_other_contents(networks: Networks, tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "expected a checkpoint file, found nothing")
    refused(
        saved(tmp_path, {"genA2B": {}, "genB2A": {}}),
        f"{EXPECTED}, found genA2B, genB2A; missing: gen2B, gen2A, disA, disB",
    )
    generators = {name: state for name, state in networks.items() if name.startswith("gen")}
    refused(saved(tmp_path, generators), f"{EXPECTED}, found gen2A, gen2B; missing: disA, disB")
    refused(saved(tmp_path, {**networks, "disB": 3}), "expected disB to be a state dict, found a int")


def test_networks_that_do_not_fit(networks: Networks, tmp_path: Path) -> None:
    def broken(network: str, **changes: Tensor | None) -> Path:
        state = {**networks[network], **changes}
        return saved(tmp_path, {**networks, network: {key: v for key, v in state.items() if v is not None}})

    names = "expected the names of the official NICE-GAN"
    refused(broken("gen2B", **{"FC.2.weight": None}), f"gen2B lacks FC.2.weight; {names}")
    refused(broken("disB", extra=torch.ones(1)), f"disB has unknown extra; {names}")
    for network, key in (("gen2A", "UpBlock2.4.bias"), ("disB", "lamda"), ("disA", "Dis1_0.4.weight_u")):
        with pytest.raises(
            CheckpointError, match=re.escape(f"{network}.{key} has shape [7]; the other weights ask for")
        ):
            nicegan_pytorch(broken(network, **{key: torch.ones(7)}))
    expected = "expected [C, C] of a light generator or [C, C·n²] of a full one, with C a multiple of 4"
    refused(broken("gen2B", **{"FC.0.weight": torch.ones(1, 7)}), f"gen2B.FC.0.weight has shape [1, 7]; {expected}")
    shorter = {key: value for key, value in networks["gen2A"].items() if not key.startswith("UpBlock1_6.")}
    refused(saved(tmp_path, {**networks, "gen2A": shorter}), "gen2A has fewer blocks or layers than its twin")
