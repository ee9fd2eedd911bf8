"""Importers of official checkpoints: every way in which people save them, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import i2i
from i2i.cli import main
from i2i.core.contracts import Imported
from i2i.core.kinds import IMPORTER
from i2i.engine.importing import write_run
from i2i.errors import CheckpointError
from i2i.methods.assembly import build
from i2i.methods.weights.cut import CUT
from i2i.methods.weights.cyclegan import CYCLEGAN
from i2i.methods.weights.munit import MUNIT, UNIT
from i2i.methods.weights.nicegan import NICEGAN
from i2i.methods.weights.pix2pix import PIX2PIX
from i2i.methods.weights.ugatit import UGATIT
from i2i.methods.weights.weight_map import Format
from i2i.recipe.recipe import Recipe

States = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Sample:
    """A small official checkpoint.

    Args:
        files: file name: its networks; one network without a key of its own where `single`.
        settings: that make the recipe small.
        alone: networks of a checkpoint of generators alone; None where those are useless.
        single: each file holds the plain state dict of one network.
    """

    format: Format
    files: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, Any]
    alone: tuple[str, ...] | None
    single: bool = False


LOCAL = {"translator.discriminators.local.channels": 4, "translator.discriminators.local.layers": 3}
RESNET = {"translator.generator.channels": 4, "translator.generator.blocks": 2}
GAN_FILES = {f"latest_net_{name}.pth": (name,) for name in ("G_A", "G_B", "D_A", "D_B")}
SCALES = {"channels": 4, "layers": 2, "scales": 2}
LATENT = {
    **{"translator.generator.channels": 4, "translator.generator.blocks": 2, "translator.generator.downsamplings": 2},
    **{f"translator.discriminators.multiscale.{key}": value for key, value in SCALES.items()},
}
LATENT_FILES = {f"{kind}_00000300.pt": (f"{kind}.a", f"{kind}.b") for kind in ("gen", "dis")}
ADALIN = {"translator.generator.channels": 4, "translator.generator.blocks": 2, "translator.generator.light": True}
SAMPLES = {
    "ugatit-pytorch": Sample(
        UGATIT,
        {"selfie2anime_params_0000100.pt": tuple(UGATIT.networks)},
        {
            **ADALIN,
            **LOCAL,
            "translator.discriminators.global_.channels": 4,
            "translator.discriminators.global_.layers": 4,
        },
        ("genA2B", "genB2A"),
    ),
    "cyclegan-pytorch": Sample(CYCLEGAN, GAN_FILES, {**RESNET, **LOCAL}, ("G_A", "G_B"), single=True),
    "pix2pix-pytorch": Sample(
        PIX2PIX,
        {"latest_net_G.pth": ("G",), "latest_net_D.pth": ("D",)},
        {"translator.generator.channels": 2, "translator.generator.levels": 5, **LOCAL},
        ("G",),
        single=True,
    ),
    "cut-pytorch": Sample(
        CUT,
        {f"latest_net_{name}.pth": (name,) for name in "GDF"},
        {"translator.generator.channels": 4, "translator.width": 8, **LOCAL},
        ("G",),
        single=True,
    ),
    "munit-pytorch": Sample(
        MUNIT,
        LATENT_FILES,
        {
            **LATENT,
            "translator.generator.style_channels": 3,
            "translator.generator.mlp_channels": 5,
            "translator.generator.style_downsamplings": 3,
        },
        ("gen.a", "gen.b"),
    ),
    "unit-pytorch": Sample(UNIT, LATENT_FILES, LATENT, ("gen.a", "gen.b")),
    "nicegan-pytorch": Sample(
        NICEGAN,
        {"cat2dog_params_0000100.pt": tuple(NICEGAN.networks)},
        {**ADALIN, "translator.discriminator.channels": 4, "translator.discriminator.layers": 6},
        None,
    ),
}


@pytest.fixture(scope="module")
def states() -> dict[str, States]:
    """Random weights of each sample, in official names."""
    found = {}
    for name, sample in SAMPLES.items():
        translator = build(Recipe.read(sample.format.recipe, sample.settings), training=False)
        generator = torch.Generator().manual_seed(0)
        weights = {
            key: torch.randn(value.shape, generator=generator) if value.is_floating_point() else value
            for key, value in translator.state_dict().items()
        }
        options = {"translator.generator.down": "blur", "translator.generator.upsample": "blur"}
        options["translator.discriminators.local.down"] = "blur"
        found[name] = sample.format.export(weights, options if sample.format is CUT else {})
    return found


@pytest.fixture(scope="module")
def plain(states: dict[str, States], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Imported]:
    """Each sample, imported as the official code saves it."""
    return {
        name: importer(name)(written(tmp_path_factory.mktemp("plain"), sample, states[name], ""))
        for name, sample in SAMPLES.items()
    }


def importer(name: str) -> Callable[[Path], Imported]:
    read: Callable[[Path], Imported] = IMPORTER(name).component
    return read


def short(network: str) -> str:
    """What a network is called in its file."""
    return network.rpartition(".")[2]


def contents(sample: Sample, states: States) -> dict[str, Any]:
    return {
        file: states[networks[0]] if sample.single else {short(name): states[name] for name in networks}
        for file, networks in sample.files.items()
        if all(name in states for name in networks)
    }


def renamed(states: States, change: Callable[[str], str]) -> States:
    return {network: {change(name): value for name, value in state.items()} for network, state in states.items()}


def flat(content: Any) -> dict[str, Tensor]:
    """One flat state dict of several networks."""
    if all(isinstance(value, Tensor) for value in content.values()):
        return {name: value.contiguous() for name, value in content.items()}
    return {
        f"{network}.{name}": value.contiguous() for network, state in content.items() for name, value in state.items()
    }


def newer_spectral_norm(name: str) -> str:
    parts = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}
    layer, _, part = name.rpartition(".")
    return f"{layer}.parametrizations.weight.{parts[part]}" if part in parts else name


def as_parameter(item: tuple[str, Tensor]) -> tuple[str, Tensor]:
    name, value = item
    return name, torch.nn.Parameter(value) if value.is_floating_point() else value


WAYS: dict[str, tuple[Callable[[States], States], Callable[[Any], Any], str]] = {
    "DataParallel": (lambda s: renamed(s, lambda n: f"module.{n}"), lambda c: c, "removed the prefix 'module.' from "),
    "compiled": (
        lambda s: renamed(s, lambda n: f"_orig_mod.{n}"),
        lambda c: c,
        "removed the prefix '_orig_mod.' from ",
    ),
    "compiled in DataParallel": (
        lambda s: renamed(s, lambda n: f"module._orig_mod.{n}"),
        lambda c: c,
        "removed the prefix '_orig_mod.' from ",
    ),
    "newer spectral norm": (lambda s: renamed(s, newer_spectral_norm), lambda c: c, ""),
    "state_dict": (lambda s: s, lambda c: {"epoch": 3, "state_dict": c}, "took the entry 'state_dict', ignored epoch"),
    "model": (
        lambda s: s,
        lambda c: {"model": c, "optimizer": {"lr": 1e-4}},
        "took the entry 'model', ignored optimizer",
    ),
    "twice wrapped": (lambda s: s, lambda c: {"model": {"state_dict": c}}, "took the entry 'state_dict'"),
    "flat": (lambda s: s, flat, ""),
    "flat in DataParallel": (
        lambda s: s,
        lambda c: {f"module.{name}": value for name, value in flat(c).items()},
        "",
    ),
    "parameters": (
        lambda s: {
            n: {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in d.items()} for n, d in s.items()
        },
        lambda c: c,
        "",
    ),
    "profiled": (
        lambda s: {network: {**state, "model.total_ops": torch.zeros(1)} for network, state in s.items()},
        lambda c: c,
        "tensors that i2i does not need: ",
    ),
    "old instance norm": (
        lambda s: {
            network: {**state, "model.2.running_mean": torch.zeros(4), "model.2.num_batches_tracked": torch.tensor(1)}
            for network, state in s.items()
        },
        lambda c: c,
        "tensors that i2i does not need: ",
    ),
}


def written(folder: Path, sample: Sample, states: States, way: str, suffix: str = "") -> Path:
    """The checkpoint's files, and the path to import."""
    change, wrap, _ = WAYS[way] if way else (lambda s: s, lambda c: c, "")
    for file, content in contents(sample, change(states)).items():
        if suffix == ".safetensors":
            save_file(flat(content), folder / Path(file).with_suffix(suffix))
        else:
            torch.save(wrap(content), folder / file, _use_new_zipfile_serialization=suffix != "legacy")
    return folder


def assert_equal(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


@pytest.mark.thorough
@pytest.mark.parametrize("name", SAMPLES)
def test_a_checkpoint_becomes_a_run_and_comes_back_to_the_bit(
    name: str, states: dict[str, States], tmp_path: Path
) -> None:
    sample = SAMPLES[name]
    imported = importer(name)(written(tmp_path, sample, states[name], ""))
    assert imported.recipe == sample.format.recipe
    assert imported.untrained == ()
    for key, value in sample.settings.items():
        assert imported.settings[key] == value
    write_run(imported, tmp_path / "run", ["data.size=64"])
    loaded = i2i.load(tmp_path / "run", device="cpu")
    assert loaded.translate(torch.zeros(1, 3, 64, 64), to="b").shape == (1, 3, 64, 64)
    back = sample.format.export(loaded.translator.state_dict(), imported.settings)
    assert back.keys() == states[name].keys()
    for network, state in states[name].items():
        assert_equal(back[network], state)


@pytest.mark.thorough
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_way_of_saving(
    name: str, way: str, states: dict[str, States], plain: dict[str, Imported], tmp_path: Path
) -> None:
    imported = importer(name)(written(tmp_path, SAMPLES[name], states[name], way))
    assert_equal(imported.weights, plain[name].weights)
    assert imported.settings == plain[name].settings
    assert any(WAYS[way][2] in note for note in imported.notes)


@pytest.mark.parametrize("name", SAMPLES)
def test_prefixes_are_counted(name: str, states: dict[str, States], tmp_path: Path) -> None:
    count = sum(map(len, states[name].values()))
    imported = importer(name)(written(tmp_path, SAMPLES[name], states[name], "DataParallel"))
    assert f"removed the prefix 'module.' from {count} names" in imported.notes


@pytest.mark.parametrize("suffix", [".safetensors", "legacy"])
@pytest.mark.parametrize("name", SAMPLES)
def test_file_formats(
    name: str, suffix: str, states: dict[str, States], plain: dict[str, Imported], tmp_path: Path
) -> None:
    imported = importer(name)(written(tmp_path, SAMPLES[name], states[name], "", suffix))
    assert_equal(imported.weights, plain[name].weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.alone])
def test_generators_alone(name: str, states: dict[str, States], plain: dict[str, Imported], tmp_path: Path) -> None:
    sample = SAMPLES[name]
    assert sample.alone is not None
    generators = {network: states[name][network] for network in sample.alone}
    if sample.single:
        folder = written(tmp_path, sample, generators, "")
    else:
        file = next(iter(sample.files))
        torch.save({short(network): state for network, state in generators.items()}, tmp_path / file)
        folder = tmp_path / file
    imported = importer(name)(folder)
    lacking = {network.ours for key, network in sample.format.networks.items() if key not in sample.alone}
    assert set(imported.untrained) == lacking
    for network in lacking:
        assert f"{network} starts from scratch: the checkpoint has no weights for it" in imported.notes
    assert_equal(imported.weights, {key: plain[name].weights[key] for key in imported.weights})
    write_run(imported, tmp_path / "run", ["data.size=64"] if name != "ugatit-pytorch" else [])
    assert i2i.load(tmp_path / "run", device="cpu").translate(torch.zeros(1, 3, 64, 64), to="b").shape[1] == 3


def test_nicegan_needs_its_encoders(states: dict[str, States], tmp_path: Path) -> None:
    generators = {name: state for name, state in states["nicegan-pytorch"].items() if name.startswith("gen")}
    torch.save(generators, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"found gen2A, gen2B; missing: disA, disB$"):
        importer("nicegan-pytorch")(tmp_path / "x.pt")


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(half: torch.dtype, states: dict[str, States], tmp_path: Path) -> None:
    networks = states["cyclegan-pytorch"]
    converted = {name: {key: value.to(half) for key, value in state.items()} for name, state in networks.items()}
    imported = importer("cyclegan-pytorch")(written(tmp_path, SAMPLES["cyclegan-pytorch"], converted, ""))
    write_run(imported, tmp_path / "run", ["data.size=64"])
    name, value = next(iter(imported.weights.items()))
    assert torch.equal(i2i.load(tmp_path / "run", device="cpu").translator.state_dict()[name], value.float())


# Where the files are, and what they are called.


def one_network(folder: Path, states: States, file: str, network: str = "G_A") -> Path:
    torch.save(states[network], folder / file)
    return folder / file


@pytest.mark.parametrize(
    ("file", "source"),
    [
        *[
            ("latest_net_G_A.pth", "a"),
            ("latest_net_G_B.pth", "b"),
            ("latest_net_G.pth", "a"),
            ("horse2zebra.pth", "a"),
        ],
        *[("G_B2A.pth", "b"), ("G_A2B_epoch9.pth", "a"), ("iter_500_net_G_B.pth", "b")],
    ],
)
def test_one_cyclegan_generator_is_one_direction(
    file: str, source: str, states: dict[str, States], tmp_path: Path
) -> None:
    imported = importer("cyclegan-pytorch")(one_network(tmp_path, states["cyclegan-pytorch"], file))
    assert imported.recipe == "pix2pix"
    assert imported.settings["translator.source"] == source
    assert imported.untrained == ("discriminators.local",)


def test_a_folder_with_one_generator_is_one_direction(states: dict[str, States], tmp_path: Path) -> None:
    """As the official download script leaves it: horse2zebra_pretrained/latest_net_G.pth."""
    one_network(tmp_path, states["cyclegan-pytorch"], "latest_net_G.pth")
    assert importer("cyclegan-pytorch")(tmp_path).recipe == "pix2pix"


@pytest.mark.parametrize("epochs", [["5", "10", "latest"], ["5", "10"], ["iter_500", "iter_2000"], ["iter_9000", "10"]])
@pytest.mark.parametrize("name", ["cyclegan-pytorch", "pix2pix-pytorch", "cut-pytorch"])
def test_the_last_epoch_of_a_folder_is_taken(
    name: str, epochs: list[str], states: dict[str, States], plain: dict[str, Imported], tmp_path: Path
) -> None:
    sample = SAMPLES[name]
    for epoch in epochs:
        for file, content in contents(sample, states[name]).items():
            last = epoch == epochs[-1]
            changed = content if last else {key: value + 1 if value.ndim else value for key, value in content.items()}
            torch.save(changed, tmp_path / file.replace("latest", epoch))
    assert_equal(importer(name)(tmp_path).weights, plain[name].weights)


@pytest.mark.parametrize("name", ["ugatit-pytorch", "nicegan-pytorch"])
def test_the_last_file_of_a_folder_is_taken(name: str, states: dict[str, States], tmp_path: Path) -> None:
    torch.save({"other": 1}, tmp_path / "x_params_0000099.pt")
    torch.save(states[name], tmp_path / "x_params_0000100.pt")
    assert importer(name)(tmp_path).recipe == SAMPLES[name].format.recipe
    torch.save({"other": 1}, tmp_path / "x_params_latest.pt")
    with pytest.raises(CheckpointError, match="x_params_latest"):
        importer(name)(tmp_path)


@pytest.mark.parametrize("name", ["munit-pytorch", "unit-pytorch"])
def test_either_file_of_munit(name: str, states: dict[str, States], tmp_path: Path) -> None:
    folder = written(tmp_path, SAMPLES[name], states[name], "")
    for path in (folder, folder / "gen_00000300.pt", folder / "dis_00000300.pt"):
        imported = importer(name)(path)
        assert imported.step == 300
        assert imported.untrained == ()
    (folder / "gen_00000300.pt").rename(folder / "edges2shoes.pt")  # as the published models are called
    assert set(importer(name)(folder / "edges2shoes.pt").untrained) == {
        "discriminators.a.multiscale",
        "discriminators.b.multiscale",
    }


def test_nicegan_says_its_step(states: dict[str, States], tmp_path: Path) -> None:
    torch.save({**states["nicegan-pytorch"], "start_iter": 70, "G_optimizer": {"lr": 1e-4}}, tmp_path / "x.pt")
    imported = importer("nicegan-pytorch")(tmp_path / "x.pt")
    assert imported.step == 70
    assert "ignored G_optimizer" in imported.notes


def test_a_full_ugatit_says_its_image_size(tmp_path: Path) -> None:
    sample = SAMPLES["ugatit-pytorch"]
    settings = {**sample.settings, "translator.generator.light": False, "data.size": 64}
    translator = build(Recipe.read("ugatit", settings), training=False)
    torch.save(UGATIT.export(translator.state_dict()), tmp_path / "x.pt")
    imported = importer("ugatit-pytorch")(tmp_path / "x.pt")
    assert imported.settings["data.size"] == 64
    assert imported.settings["translator.generator.light"] is False


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("blur", [("blur", "blur"), ("blur", "transposed"), ("strided", "transposed")])
def test_dropout_and_blurs_are_found_by_the_numbers_of_the_layers(
    dropout: float, blur: tuple[str, str], tmp_path: Path
) -> None:
    settings = {
        **SAMPLES["cut-pytorch"].settings,
        "translator.generator.dropout": dropout,
        "translator.generator.down": blur[0],
        "translator.generator.upsample": blur[1],
    }
    translator = build(Recipe.read("cut", settings), training=False)
    torch.save(CUT.export(translator.state_dict(), settings)["G"], tmp_path / "latest_net_G.pth")
    imported = importer("cut-pytorch")(tmp_path)
    for key in ("dropout", "down", "upsample"):
        assert imported.settings[f"translator.generator.{key}"] == settings[f"translator.generator.{key}"]


def test_heads_of_other_layers_are_guessed(states: dict[str, States], tmp_path: Path) -> None:
    folder = written(tmp_path, SAMPLES["cut-pytorch"], states["cut-pytorch"], "")
    heads = states["cut-pytorch"]["F"]
    fewer = {name: value for name, value in heads.items() if name.startswith(("mlp_0.", "mlp_1."))}
    torch.save(fewer, folder / "latest_net_F.pth")
    imported = importer("cut-pytorch")(folder)
    assert imported.settings["translator.taps"] == ["image", "down.0.conv"]
    assert "guessed the layers that the heads belong to (translator.taps)" in imported.notes
    torch.save({}, folder / "latest_net_F.pth")  # netF = sample has no layers
    assert importer("cut-pytorch")(folder).settings["translator.width"] == "none"
    torch.save({"mlp_0.0.weight": torch.zeros(4, 99)}, folder / "latest_net_F.pth")
    with pytest.raises(CheckpointError, match="heads for features of 99 channels fit no layers of the generator"):
        importer("cut-pytorch")(folder)


# What is refused.


def refused(name: str, path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        importer(name)(path)


@pytest.mark.parametrize("name", SAMPLES)
def test_contents_that_are_something_else(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    path = tmp_path / next(iter(sample.files))
    for content, found in (
        ([1, 2], "found a list"),
        ({"epoch": 3, "loss": 0.5}, "found epoch, loss"),
        ({"netQ": {}, "netR": 3}, "found netQ, netR"),
        ({"weird.weight": torch.ones(1)}, "weird.weight"),
    ):
        torch.save(content, path)
        refused(name, path, found)
    refused(name, tmp_path / "latest_net_G_of_nothing.pth", "expected a checkpoint file, found nothing")
    (tmp_path / "empty").mkdir()
    refused(name, tmp_path / "empty", "found nothing")


@pytest.mark.thorough
@pytest.mark.parametrize("name", SAMPLES)
def test_networks_that_do_not_fit(name: str, states: dict[str, States], tmp_path: Path) -> None:
    """A tensor that is missing, one too many, and one of another shape, in each network in turn."""
    sample = SAMPLES[name]
    for network, state in states[name].items():
        key = list(state)[len(state) // 2]
        if key.endswith(".filt"):
            key = next(other for other in reversed(state) if not other.endswith(".filt"))
        for change, message in (
            ({key: None}, rf"{network} lacks {key}|{network}.* has shape|equal sizes|expected|fit no lay"),
            ({"extra": torch.ones(1)}, f"{network} has unknown extra"),
            (
                {key: torch.ones(1, 7, 1)},
                rf"{network}\S* has shape|equal sizes|lacks|give no valid recipe|fit no layers",
            ),
        ):
            changed = {k: v for k, v in {**state, **change}.items() if v is not None}
            path = written(tmp_path, sample, {**states[name], network: changed}, "")
            with pytest.raises(CheckpointError, match=message):
                importer(name)(path)


@pytest.mark.parametrize("name", ["ugatit-pytorch", "cyclegan-pytorch", "munit-pytorch", "nicegan-pytorch"])
def test_twins_of_other_sizes(name: str, tmp_path: Path, states: dict[str, States]) -> None:
    sample = SAMPLES[name]
    settings = {**sample.settings, "translator.generator.blocks": 3}
    other = sample.format.export(build(Recipe.read(sample.format.recipe, settings), training=False).state_dict())
    first, second = (key for key, network in sample.format.networks.items() if network.ours.startswith("generators"))
    path = written(tmp_path, sample, {**states[name], second: other[second]}, "")
    refused(name, path, f"{second} and {first} must have equal sizes; found blocks = 3 and 2")


def test_filters_must_be_the_official_ones(states: dict[str, States], tmp_path: Path) -> None:
    networks = dict(states["cut-pytorch"])
    networks["G"] = {**networks["G"], "model.7.filt": networks["G"]["model.7.filt"] * 2}
    path = written(tmp_path, SAMPLES["cut-pytorch"], networks, "")
    refused("cut-pytorch", path, "G.model.7.filt differs from the constant in the official code")


def test_munit_and_unit_are_told_apart(states: dict[str, States], tmp_path: Path) -> None:
    for name, other in (("munit", "unit"), ("unit", "munit")):
        path = written(tmp_path, SAMPLES[f"{name}-pytorch"], states[f"{name}-pytorch"], "")
        refused(f"{other}-pytorch", path, f"found one of {name.upper()}; import it as {name}-pytorch")


class Malicious:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('code was run')",)


@pytest.mark.parametrize("name", SAMPLES)
def test_code_is_not_run(name: str, tmp_path: Path) -> None:
    path = tmp_path / next(iter(SAMPLES[name].files))
    torch.save({"model.1.weight": Malicious()}, path)
    refused(name, path, "refused, since it holds more than tensors: loading it would call exec")


# Use from the command line.


def test_the_command_says_what_it_did(
    states: dict[str, States], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "cyclegan-pytorch"
    folder = written(tmp_path, SAMPLES[name], states[name], "DataParallel")
    (folder / "latest_net_D_B.pth").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["import", name, str(folder), "--output", str(tmp_path / "run"), "--set", "data.size=64"])
    assert not ended.value.code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("CycleGAN, recipe cyclegan; generator: type = resnet, channels = 4, blocks = 2")
    assert any(re.fullmatch(r"  removed the prefix 'module\.' from \d+ names", line) for line in lines)
    assert "  discriminators.a.local starts from scratch: the checkpoint has no weights for it" in lines
    assert lines[-1] == f"  wrote {tmp_path / 'run' / 'checkpoints' / 'step-0000000'}"


def test_the_documented_format_of_a_plugin(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "importing.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module: dict[str, Any] = {}
    exec(code, module)
    settings = {**RESNET, "translator.generator.type": "resnet"}
    weights = build(Recipe.read("pix2pix", settings), training=False).state_dict()
    state = module["GENERATOR"].export(
        {key.removeprefix("generator."): value for key, value in weights.items() if key.startswith("generator.")}
    )
    assert {"first.weight", "res.1.b.bias", "last.bias"} <= state.keys()
    torch.save({"netG": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "generator.pt")
    imported = module["mygan"](tmp_path / "generator.pt")
    assert imported.untrained == ("discriminators",)
    assert all(torch.equal(value, weights[name]) for name, value in imported.weights.items())
    assert f"removed the prefix 'module.' from {len(state)} names" in imported.notes
