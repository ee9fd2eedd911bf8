"""Official CycleGAN and pix2pix checkpoints: read, used, given back to the bit; everything else is refused."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from i2i.cli import main
from i2i.core.contracts import Imported
from i2i.core.kinds import IMPORTER
from i2i.engine.importing import write_run
from i2i.errors import CheckpointError, I2IError
from i2i.methods.weights import cyclegan, official, pix2pix
from i2i.methods.weights.cyclegan import cyclegan_pytorch
from i2i.methods.weights.pix2pix import pix2pix_pytorch
from i2i.use import loaded as inference

State = dict[str, Tensor]


def file_of(golden: Path, method: str, network: str) -> Path:
    return golden / method / "traj_checkpoint" / f"latest_net_{network}.pth"


def error(got: Tensor, expected: Tensor) -> float:
    return float((got.double() - expected.double()).norm() / expected.double().norm())


@pytest.mark.parametrize(("method", "read", "export"), [
    ("cyclegan", cyclegan_pytorch, cyclegan.export),
    ("pix2pix", pix2pix_pytorch, pix2pix.export),
])  # fmt: skip
def test_round_trip_through_a_run(
    golden: Path, tmp_path: Path, method: str, read: Callable[[Path], Imported], export: Any
) -> None:
    imported = read(golden / method / "traj_checkpoint")
    assert imported.recipe == method
    assert imported.untrained == ()
    assert "dropped" not in imported.summary
    settings = []
    if method == "pix2pix":
        settings.append(f"data.size={2 ** imported.settings['translator.generator.levels']}")
    saved = load_file(write_run(imported, tmp_path / "run", settings) / "translator.safetensors")
    networks = export(imported.settings, saved)
    assert networks
    for network, state in networks.items():
        wanted = torch.load(file_of(golden, method, network), weights_only=True)
        assert state.keys() == wanted.keys()
        for name, value in wanted.items():
            assert state[name].dtype == value.dtype
            assert torch.equal(state[name], value)


def saved_component(
    golden: Path, tmp_path: Path, file: Path, name: str
) -> tuple[Path, dict[str, Tensor], dict[str, Any]]:
    """A component's figures, its weights written as the official code writes them."""
    with safe_open(file, "pt") as figures:
        tensors = {key: figures.get_tensor(key) for key in figures.keys()}  # noqa: SIM118  # no dict
        config = json.loads(figures.metadata()["config"])
    state = {key.removeprefix("param/"): value for key, value in tensors.items() if key.startswith("param/")}
    torch.save(state, tmp_path / name)
    return tmp_path / name, tensors, config


def test_unet_alone_translates_as_the_official_one(golden: Path, tmp_path: Path) -> None:
    path, figures, config = saved_component(
        golden, tmp_path, golden / "pix2pix" / "unet5_train.safetensors", "latest_net_G.pth"
    )
    imported = pix2pix_pytorch(path)
    assert imported.settings["translator.generator.levels"] == config["num_downs"]
    assert imported.untrained == ("discriminators",)
    write_run(
        imported,
        tmp_path / "run",
        [f"data.size={2 ** config['num_downs']}", "translator.discriminators.local.layers=3"],
    )
    loaded = inference.load(tmp_path / "run", "cpu")
    # Training mode: statistics of this batch. Tensors are translated as they come, files one by one.
    assert error(loaded.translate(figures["input"]), figures["out64"]) < 1e-5
    assert error(loaded.translate(figures["input"].double()), figures["out64"]) < 1e-10
    assert loaded.constraints.batch_dependent
    with pytest.raises(I2IError, match="this translator translates only to b"):
        loaded.translate(figures["input"], to="a")


def test_one_cyclegan_generator_is_one_direction(golden: Path, tmp_path: Path) -> None:
    file = golden / "cyclegan" / "gen_resnet9.safetensors"
    path, figures, config = saved_component(golden, tmp_path, file, "latest_net_G_B.pth")
    imported = cyclegan_pytorch(path)
    assert imported.settings["translator.source"] == "b"
    blocks = 9 if config["netG"] == "resnet_9blocks" else 6
    assert imported.summary == (
        f"one generator, resnet ({config['ngf']} channels, {blocks} blocks), from b to a; "
        "no discriminator, which begins anew"
    )
    write_run(imported, tmp_path / "run")
    loaded = inference.load(tmp_path / "run", "cpu")
    assert error(loaded.translate(figures["input"].double(), to="a"), figures["out64"]) < 1e-10
    with pytest.raises(I2IError, match="this translator translates only to a"):
        loaded.translate(figures["input"], to="b")


def test_dropout_layout(golden: Path, tmp_path: Path) -> None:
    file = golden / "cyclegan" / "gen_resnet6_dropout_layout_eval.safetensors"
    path, figures, config = saved_component(golden, tmp_path, file, "latest_net_G.pth")
    imported = cyclegan_pytorch(path)
    assert imported.settings["translator.generator.dropout"] == (0.5 if config["use_dropout"] else 0)
    write_run(imported, tmp_path / "run")
    loaded = inference.load(tmp_path / "run", "cpu")
    assert error(loaded.translate(figures["input"].double()), figures["out64"]) < 1e-10


def test_old_files_lose_their_running_statistics(golden: Path, tmp_path: Path) -> None:
    state = torch.load(file_of(golden, "cyclegan", "G_A"), weights_only=True)
    channels = state["model.1.bias"].shape[0]
    state["model.2.running_mean"] = torch.zeros(channels)
    state["model.2.running_var"] = torch.ones(channels)
    torch.save(state, tmp_path / "latest_net_G.pth", _use_new_zipfile_serialization=False)
    assert cyclegan_pytorch(tmp_path / "latest_net_G.pth").summary.endswith(
        "; dropped 2 running statistics that instance norm does not use: G.model.2.running_mean, G.model.2.running_var"
    )


def test_newest_epoch_and_missing_discriminators(golden: Path, tmp_path: Path) -> None:
    for epoch in (5, 10):
        for network in ("G_A", "G_B"):
            shutil.copy(file_of(golden, "cyclegan", network), tmp_path / f"{epoch}_net_{network}.pth")
    assert official.files_of(tmp_path, ["G_A"]) == {"G_A": tmp_path / "10_net_G_A.pth"}
    imported = cyclegan_pytorch(tmp_path)
    assert imported.untrained == ("discriminators.b.local", "discriminators.a.local")
    assert "D_A and D_B not there, begin anew" in imported.summary
    write_run(imported, tmp_path / "run", ["translator.discriminators.local.channels=4"])


def refused(read: Callable[[Path], Imported], path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{path}: {message}')}$"):
        read(path)


def test_refusals(golden: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    expected = ", ".join(f"latest_net_{name}.pth" for name in cyclegan.PREFIXES)
    refused(cyclegan_pytorch, empty, f"expected {expected}, found nothing")
    refused(pix2pix_pytorch, tmp_path / "none.pth", "expected a checkpoint file, found nothing")
    text = tmp_path / "text.pth"
    text.write_text("hello")
    refused(pix2pix_pytorch, text, "expected a file written by torch.save, found something else or a damaged one")

    def saved(content: Any) -> Path:
        torch.save(content, tmp_path / "x.pth")
        return tmp_path / "x.pth"

    refused(cyclegan_pytorch, saved({"genA2B": {}}), "expected the plain state dict of one network, found genA2B")
    refused(cyclegan_pytorch, saved([1]), "expected the plain state dict of one network, found a list")
    discriminate = torch.load(file_of(golden, "cyclegan", "D_A"), weights_only=True)
    found = "model.0.bias, model.0.weight, model.11.bias, model.11.weight and 6 more"
    refused(
        cyclegan_pytorch,
        saved(discriminate),
        f"expected a U-Net's model.model.0.weight or a ResNet's model.1.weight, found {found}",
    )
    state = torch.load(file_of(golden, "cyclegan", "G_A"), weights_only=True)
    refused(
        cyclegan_pytorch,
        saved({**state, "extra.weight": torch.ones(1)}),
        "unknown extra.weight in a generator of type resnet",
    )
    del state["model.4.bias"]
    refused(cyclegan_pytorch, saved(state), "lacks model.4.bias, which a resnet has")
    state["model.4.bias"] = torch.ones(3, 3)
    channels = state["model.1.bias"].shape[0]
    refused(
        cyclegan_pytorch, saved(state), f"model.4.bias has shape [3, 3]; the other weights ask for [{2 * channels}]"
    )


class Malicious:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


def test_code_is_not_run(tmp_path: Path) -> None:
    torch.save({"model.1.weight": Malicious()}, tmp_path / "x.pth")
    for read in (cyclegan_pytorch, pix2pix_pytorch):
        refused(read, tmp_path / "x.pth", "refused, since it holds more than tensors: loading it would call exec")


def test_registered_and_on_the_command_line(golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert IMPORTER("cyclegan-pytorch").component is cyclegan_pytorch
    assert IMPORTER("pix2pix-pytorch").component is pix2pix_pytorch
    folder = golden / "cyclegan" / "traj_checkpoint"
    with pytest.raises(SystemExit) as ended:
        main(["import", "cyclegan-pytorch", str(folder), "--output", str(tmp_path / "run")])
    assert ended.value.code in (None, 0)
    assert capsys.readouterr().out.startswith("CycleGAN, generators resnet (")


def test_a_published_generator(tmp_path: Path) -> None:
    """The generator that the package vintagify carries, against that package's own network."""
    spec = importlib.util.find_spec("vintagify")
    if spec is None or spec.origin is None:
        pytest.skip("vintagify is not installed")
    home = Path(spec.origin).parent
    (file,) = (home / "resources").glob("G_A2B*.pth")
    imported = cyclegan_pytorch(file)
    assert imported.settings["translator.generator.norm"] == {"type": "in", "affine": True}
    write_run(imported, tmp_path / "run")
    # The package itself imports what only its plots need, so its network's file is loaded alone.
    source = importlib.util.spec_from_file_location("vintagify_generator", home / "generator.py")
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    theirs = module.ResnetGenerator().eval()
    theirs.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = theirs(image)
    assert error(inference.load(tmp_path / "run", "cpu").translate(image), expected) < 1e-5
