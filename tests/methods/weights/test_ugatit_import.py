"""Official U-GAT-IT checkpoints: read and given back to the bit; everything else is refused with a reason."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.core.kinds import ATTENTION, IMPORTER
from i2i.errors import CheckpointError
from i2i.methods.weights.ugatit import PREFIXES, convert, export, ugatit_pytorch
from i2i.nn.discriminators.patch import Patch
from i2i.nn.generators.resnet_adalin import ResnetAdaLIN

Networks = dict[str, dict[str, Tensor]]
EXPECTED = "expected U-GAT-IT's networks genA2B, genB2A, disGA, disGB, disLA, disLB"


def checkpoint(golden: Path, name: str = "light") -> Path:
    return golden / "ugatit" / f"traj_{name}_refckpt_params_0000003.pt"


@pytest.fixture
def networks(golden: Path) -> Networks:
    """The light checkpoint, for a test to damage."""
    return {name: dict(state) for name, state in torch.load(checkpoint(golden), weights_only=True).items()}


def saved(folder: Path, content: Any, **options: Any) -> Path:
    torch.save(content, folder / "params.pt", **options)
    return folder / "params.pt"


def refused(path: Path, reason: str) -> None:
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{path}: {reason}')}$"):
        ugatit_pytorch(path)


@pytest.mark.parametrize("name", ["light", "full"])
def test_official_checkpoint(golden: Path, name: str) -> None:
    read = ugatit_pytorch(checkpoint(golden, name))
    light = name == "light"
    channels = read.settings["translator.generator.channels"]
    assert read.recipe == "ugatit"
    assert read.settings == {
        "translator.generator.channels": channels,
        "translator.generator.blocks": 4,
        "translator.generator.light": light,
        "translator.discriminators.global_.channels": channels,
        "translator.discriminators.global_.layers": 7,
        "translator.discriminators.local.channels": channels,
        "translator.discriminators.local.layers": 5,
        **({} if light else {"data.size": 96}),
    }
    size = "for any image size (which one is not known)" if light else "for 96 px"
    assert read.summary == (
        f"U-GAT-IT, {name} generators of {channels} channels and 4 + 4 blocks {size}; "
        f"discriminators global_ with 7 layers and local with 5 layers; no optimizer state"
    )
    official = torch.load(checkpoint(golden, name), weights_only=True)
    back = export(read.weights)
    assert back.keys() == official.keys()
    for network, state in official.items():
        assert back[network].keys() == state.keys()
        assert all(torch.equal(back[network][key], value) for key, value in state.items())


def test_weights_load_strictly(golden: Path) -> None:
    read = ugatit_pytorch(checkpoint(golden))
    channels = read.settings["translator.generator.channels"]
    spectral: dict[str, Any] = {"norm": None, "spectral_norm": True, "max_multiplier": None, "final_bias": False}
    models = {
        "gen": ResnetAdaLIN(channels, light=True),
        "disG": Patch(channels, 7, attention=ATTENTION("cam"), **spectral),
        "disL": Patch(channels, 5, attention=ATTENTION("cam"), **spectral),
    }
    for network, prefix in PREFIXES.items():
        mine = {key.removeprefix(prefix): value for key, value in read.weights.items() if key.startswith(prefix)}
        models[network[:4] if network.startswith("dis") else "gen"].load_state_dict(mine)


@pytest.mark.parametrize("file", ["traj_light_init", "traj_full_init", "traj_light_final_f64", "traj_full_final_f64"])
def test_round_trip_of_the_trajectories(golden: Path, file: str) -> None:
    tensors = load_file(golden / "ugatit" / f"{file}.safetensors")
    networks: Networks = {}
    for name, value in tensors.items():
        network, _, key = name.partition("/")
        networks.setdefault(network, {})[key] = value
    back = export(convert(networks))
    assert {f"{network}/{key}" for network, state in back.items() for key in state} == tensors.keys()
    for name, value in tensors.items():
        network, _, key = name.partition("/")
        got = back[network][key]
        assert got.dtype == value.dtype
        assert torch.equal(got, value)


def test_old_format_and_ordered_dicts(networks: Networks, tmp_path: Path) -> None:
    ordered = {name: OrderedDict(state) for name, state in networks.items()}
    path = saved(tmp_path, ordered, _use_new_zipfile_serialization=False)
    assert export(ugatit_pytorch(path).weights).keys() == networks.keys()


def test_registered() -> None:
    assert IMPORTER("ugatit-pytorch").component is ugatit_pytorch


def test_files_that_are_no_checkpoint(golden: Path, tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "expected a checkpoint file, found nothing")
    refused(tmp_path, "expected a checkpoint file, found a folder")
    text = tmp_path / "notes.pt"
    for content in ("", "hello\n"):
        text.write_text(content)
        refused(text, "expected a file written by torch.save, found something else or a damaged one")
    cut = tmp_path / "cut.pt"
    cut.write_bytes(checkpoint(golden).read_bytes()[:100_000])
    refused(cut, "the file is cut off: an archive without its end")


def test_damaged_archive(golden: Path, tmp_path: Path) -> None:
    content = bytearray(checkpoint(golden).read_bytes())
    content[60:160] = bytes(100)  # inside the pickled table of contents
    broken = tmp_path / "broken.pt"
    broken.write_bytes(content)
    refused(broken, "expected a file written by torch.save, found something else or a damaged one")


class Malicious:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


def test_code_is_not_run(tmp_path: Path) -> None:
    reason = "refused, since it holds more than tensors: loading it would call exec"
    refused(saved(tmp_path, {"genA2B": Malicious()}), reason)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(CheckpointError, match="^" + re.escape(f"{bare}: ")):
        ugatit_pytorch(bare)


def test_other_contents(networks: Networks, tmp_path: Path) -> None:
    refused(saved(tmp_path, [1, 2]), f"{EXPECTED}, found a list")
    plain = {"model.1.weight": torch.ones(2), "model.1.bias": torch.ones(2)}
    refused(saved(tmp_path, plain), f"{EXPECTED}, found the plain state of one network: model.1.bias, model.1.weight")
    refused(saved(tmp_path, {"epoch": 3}), f"{EXPECTED}, found epoch; missing: {', '.join(PREFIXES)}")
    refused(saved(tmp_path, {**networks, "disLB": 3}), "expected disLB to be a state dict, found a int")
    del networks["disGB"], networks["genB2A"]
    found = "disGA, disLA, disLB, genA2B"
    refused(saved(tmp_path, networks), f"{EXPECTED}, found {found}; missing: genB2A, disGB")


def test_networks_that_do_not_fit(networks: Networks, tmp_path: Path) -> None:
    def broken(network: str, **changes: Tensor | None) -> Path:
        state = {**networks[network], **changes}
        return saved(tmp_path, {**networks, network: {key: v for key, v in state.items() if v is not None}})

    names = "expected the names of the official U-GAT-IT"
    refused(broken("genA2B", **{"FC.2.weight": None}), f"genA2B lacks FC.2.weight; {names}")
    refused(broken("disLB", extra=torch.ones(1)), f"disLB has unknown extra; {names}")
    channels = networks["genA2B"]["DownBlock.1.weight"].shape[0]
    for network, key in (
        ("genB2A", "UpBlock2.3.gamma"),
        ("disGB", "conv.weight_u"),
        ("genA2B", "DownBlock.5.weight"),
    ):
        with pytest.raises(
            CheckpointError, match=re.escape(f"{network}.{key} has shape [1, 7]; the other weights ask for")
        ):
            ugatit_pytorch(broken(network, **{key: torch.ones(1, 7)}))
    first = broken("genA2B", **{"FC.0.weight": torch.ones(1, 7)})
    expected = "expected [C, C] of a light generator or [C, C·n²] of a full one, with C a multiple of 4"
    refused(first, f"genA2B.FC.0.weight has shape [1, 7]; {expected}")
    with pytest.raises(CheckpointError, match=f"translator.generator.channels = {channels}"):
        ugatit_pytorch(broken("genB2A", **{"conv1x1.bias": torch.ones(1)}))
    shorter = {key: v for key, v in networks["disGB"].items() if not key.startswith("model.16.")}
    refused(saved(tmp_path, {**networks, "disGB": shorter}), "disGB has fewer blocks or layers than its twin")
