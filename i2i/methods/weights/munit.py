"""MUNIT and UNIT: `gen_<step>.pt` and `dis_<step>.pt` of NVlabs/MUNIT a82e222 and mingyuliutw/UNIT 28d5982."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.methods.weights.official_files import Report, networks_in, newest, step_of
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State, count

FIRST_BLOCK = r"(?:enc|enc_content)\.model\.\d+\.model\.\d+\.model\.0\.conv\.weight"
OUR_FIRST_BLOCK = r"encoder\.blocks\.\d+\.first\.conv\.weight"


def shared_latent(state: State, traces: Options, encoder: str = "enc") -> Layers:
    """Names in UNIT's `VAEGen`."""
    down = count(state, rf"{encoder}\.model\.\d+\.conv\.weight", r"encoder\.(?:stem|down\.\d+)\.conv\.weight") - 1
    table = {f"{encoder}.model.0.conv": "encoder.stem.conv", f"dec.model.{2 * down + 1}.conv": "image_decoder.head"}
    for i in range(down):
        table |= {
            f"{encoder}.model.{i + 1}.conv": f"encoder.down.{i}.conv",
            f"dec.model.{2 + 2 * i}.conv": f"image_decoder.up.{i}.conv",
            f"dec.model.{2 + 2 * i}.norm.gamma": f"image_decoder.up.{i}.norm.weight",
            f"dec.model.{2 + 2 * i}.norm.beta": f"image_decoder.up.{i}.norm.bias",
        }
    for i in range(count(state, FIRST_BLOCK, OUR_FIRST_BLOCK)):
        for number, half in enumerate(("first", "second")):
            table |= {
                f"{encoder}.model.{down + 1}.model.{i}.model.{number}.conv": f"encoder.blocks.{i}.{half}.conv",
                f"dec.model.0.model.{i}.model.{number}.conv": f"decoder.{i}.{half}.conv",
            }
    return table


def content_style(state: State, traces: Options) -> Layers:
    """Names in MUNIT's `AdaINGen`: UNIT's, a style encoder, and the layers that turn a style into scales and shifts."""
    convolutions = count(
        state, r"enc_style\.model\.\d+\.conv\.weight", r"style_encoder\.(?:stem|down\.\d+)\.conv\.weight"
    )
    table = {
        "enc_style.model.0.conv": "style_encoder.stem.conv",
        f"enc_style.model.{convolutions + 1}": "style_encoder.head",
        "mlp.model.0.fc": "mlp.layers.0",
        "mlp.model.1.fc": "mlp.layers.1",
        "mlp.model.2.fc": "mlp.layers.2",
    }
    table |= {f"enc_style.model.{i + 1}.conv": f"style_encoder.down.{i}.conv" for i in range(convolutions - 1)}
    return shared_latent(state, traces, "enc_content") | table


def multiscale(state: State, traces: Options) -> Layers:
    """Names in `MsImageDis`."""
    layers = count(state, r"cnns\.0\.\d+\.conv\.weight", r"scales\.0\.blocks\.\d+\.conv\.weight")
    table: Layers = {}
    for scale in range(count(state, r"cnns\.\d+\.0\.conv\.weight", r"scales\.\d+\.final\.weight")):
        table |= {f"cnns.{scale}.{i}.conv": f"scales.{scale}.blocks.{i}.conv" for i in range(layers)}
        table[f"cnns.{scale}.{layers}"] = f"scales.{scale}.final"
    return table


def shared_latent_options(ours: State, traces: Options) -> Options:
    """Sizes of `shared_latent`."""
    return {
        "channels": ours["encoder.stem.conv.weight"].shape[0],
        "downsamplings": count(ours, "", r"encoder\.down\.\d+\.conv\.weight"),
        "blocks": count(ours, "", OUR_FIRST_BLOCK),
    }


def content_style_options(ours: State, traces: Options) -> Options:
    """Sizes of `content_style`."""
    return {
        **shared_latent_options(ours, traces),
        "style_channels": ours["mlp.layers.0.weight"].shape[-1],
        "mlp_channels": ours["mlp.layers.0.weight"].shape[0],
        "style_downsamplings": count(ours, "", r"style_encoder\.down\.\d+\.conv\.weight"),
    }


def multiscale_options(ours: State, traces: Options) -> Options:
    """Sizes of `multiscale`."""
    return {
        "channels": ours["scales.0.blocks.0.conv.weight"].shape[0],
        "layers": count(ours, "", r"scales\.0\.blocks\.\d+\.conv\.weight"),
        "scales": count(ours, "", r"scales\.\d+\.final\.weight"),
    }


def dummy_statistics(ours: State, table: Layers) -> dict[str, Tensor]:
    """The statistics that MUNIT's AdaIN layers store and never read."""
    dummies: dict[str, Tensor] = {}
    for layer, mine in table.items():
        if mine.startswith("decoder."):
            norm, bias = layer.removesuffix(".conv") + ".norm", ours[f"{mine}.bias"]
            dummies |= {f"{norm}.running_mean": torch.zeros_like(bias), f"{norm}.running_var": torch.ones_like(bias)}
    return dummies


def _networks(generator: Network, discriminator: Network) -> dict[str, Network]:
    return {
        f"{file}.{domain}": Network(**{**vars(network), "ours": network.ours.format(domain)})
        for file, network in (("gen", generator), ("dis", discriminator))
        for domain in "ab"  # in the official code, too, generator a makes images of domain a
    }


DISCRIMINATOR = Network(
    "discriminators.{}.multiscale", "translator.discriminators.multiscale", multiscale, multiscale_options
)
MUNIT = Format(
    "MUNIT",
    "munit",
    _networks(
        Network(
            "generators.{}",
            "translator.generator",
            content_style,
            content_style_options,
            required=True,
            constants=dummy_statistics,
        ),
        DISCRIMINATOR,
    ),
)
UNIT = Format(
    "UNIT",
    "unit",
    _networks(
        Network("generators.{}", "translator.generator", shared_latent, shared_latent_options, required=True),
        DISCRIMINATOR,
    ),
)


def munit_pytorch(path: Path) -> Imported:
    """Convert MUNIT's `gen_<step>.pt`, and `dis_<step>.pt` where it lies next to it.

    Args:
        path: either file, or the folder that holds them, of which the last step is taken. No code in it is run.

    Returns:
        The recipe `munit` with the sizes of the weights. Missing discriminators start from scratch.

    Raises:
        CheckpointError: a file is something else, is damaged, or its networks do not fit together.
    """
    return _read(path, MUNIT)


def unit_pytorch(path: Path) -> Imported:
    """Convert UNIT's `gen_<step>.pt`, and `dis_<step>.pt` where it lies next to it; see `munit_pytorch`."""
    return _read(path, UNIT)


def _read(path: Path, format: Format) -> Imported:
    file = newest(path, r"gen_\d+\.(pt|pth|safetensors)") if path.is_dir() else path
    if file.name.startswith("dis_"):
        file = file.with_name(f"gen_{file.name.removeprefix('dis_')}")
    report = Report()
    states: dict[str, State] = {}
    for kind in ("gen", "dis"):
        part = file if kind == "gen" else file.with_name(f"dis_{file.name.removeprefix('gen_')}")
        if kind == "gen" or part.is_file():
            found, _ = networks_in(part, "ab", report, format.method, "ab")
            states |= {f"{kind}.{domain}": state for domain, state in found.items()}
    other = {"MUNIT": ("UNIT", "enc.model.0.conv.weight"), "UNIT": ("MUNIT", "mlp.model.0.fc.weight")}
    method, sign = other[format.method]
    if sign in states["gen.a"]:
        fix = f"import it as {method.lower()}-pytorch"
        raise CheckpointError(f"{file}: expected a generator of {format.method}, found one of {method}; {fix}")
    return format.read(file, states, report, step=step_of(file))
