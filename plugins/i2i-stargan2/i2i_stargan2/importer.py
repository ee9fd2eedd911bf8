"""Official checkpoints of StarGAN v2: `*_nets.ckpt` and `*_nets_ema.ckpt` of clovaai/stargan-v2 875b70a."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from i2i import Imported
from i2i.methods.weights.official_files import Report, networks_in, newest
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State, count

FILTER = "hpf.filter"
RESIDUAL = {"conv1": "conv1", "conv2": "conv2", "conv1x1": "shortcut"}


def _block(official: str, ours: str, norms: Mapping[str, str]) -> Layers:
    return {f"{official}.{name}": f"{ours}.{mine}" for name, mine in {**RESIDUAL, **norms}.items()}


def generator(state: State, traces: Options) -> Layers:
    """Names in `Generator`; the kernel of its high-pass filter is a constant."""
    table = {"from_rgb": "stem", "to_rgb.0": "norm", "to_rgb.2": "head", FILTER: "high_pass.kernel"}
    plain = {"norm1": "norm1", "norm2": "norm2"}
    styled = {"norm1.fc": "norm1.linear", "norm2.fc": "norm2.linear"}
    for index in range(count(state, r"encode\.\d+\.conv1\.weight", r"encoder\.\d+\.conv1\.weight")):
        table |= _block(f"encode.{index}", f"encoder.{index}", plain)
        table |= _block(f"decode.{index}", f"decoder.{index}", styled)
    return table


def trunk(state: State, official: str) -> Layers:
    """Names of the layers that discriminator and style encoder share."""
    blocks = count(state, rf"{official}\.\d+\.conv1\.weight", r"trunk\.blocks\.\d+\.conv1\.weight")
    table = {f"{official}.0": "trunk.stem", f"{official}.{blocks + 2}": "trunk.final"}
    for index in range(blocks):
        table |= _block(f"{official}.{index + 1}", f"trunk.blocks.{index}", {})
    return table


def discriminator(state: State, traces: Options) -> Layers:
    """Names in `Discriminator`."""
    blocks = count(state, r"main\.\d+\.conv1\.weight", r"trunk\.blocks\.\d+\.conv1\.weight")
    return trunk(state, "main") | {f"main.{blocks + 4}": "head"}


def style_encoder(state: State, traces: Options) -> Layers:
    """Names in `StyleEncoder`."""
    return trunk(state, "shared") | {"unshared": "heads"}


def mapping(state: State, traces: Options) -> Layers:
    """Names in `MappingNetwork`, which are ours but for the domains' layers."""
    return {"shared": "shared", "unshared": "domains"}


def _side(ours: State) -> int:
    return int(2 ** (2 + count(ours, "", r"trunk\.blocks\.\d+\.conv1\.weight")))


def trunk_options(ours: State, traces: Options) -> Options:
    """Widths of discriminator and style encoder."""
    return {
        "width": ours["trunk.stem.weight"].shape[0] * _side(ours),
        "max_channels": ours["trunk.final.weight"].shape[0],
    }


def generator_options(ours: State, traces: Options) -> Options:
    """Widths of the generator, and its high-pass filter."""
    down = sum(name.startswith("encoder.") and name.endswith(".conv1.weight") for name in ours) - 2
    w_hpf = traces.get("w_hpf", 0.0)
    side = 2 ** (down + 4 - (w_hpf > 0))
    return {
        "width": ours["stem.weight"].shape[0] * side,
        "max_channels": max(value.shape[0] for name, value in ours.items() if name.endswith("conv2.weight")),
        "style_channels": ours["decoder.0.norm1.linear.weight"].shape[1],
        "w_hpf": w_hpf,
    }


def generator_traces(state: State) -> Options:
    """The divisor of the high-pass filter, which only the stored filter shows."""
    return {"w_hpf": 8 / float(state[FILTER][1, 1])} if FILTER in state else {}


def mapping_options(ours: State, traces: Options) -> Options:
    """Sizes of the mapping network."""
    return {
        "latent_channels": ours["shared.0.weight"].shape[1],
        "hidden": ours["shared.0.weight"].shape[0],
        "shared_layers": count(ours, "", r"shared\.\d+\.weight"),
        "layers": count(ours, "", r"domains\.0\.\d+\.weight"),
    }


STARGAN2 = Format(
    "StarGAN v2",
    "stargan2",
    {
        "generator": Network(
            "generator", "translator.generator", generator, generator_options, generator_traces, required=True
        ),
        "mapping_network": Network("mapping", "translator.mapping", mapping, mapping_options, required=True),
        "style_encoder": Network(
            "style_encoder", "translator.style_encoder", style_encoder, trunk_options, required=True
        ),
        "discriminator": Network("discriminator", "translator.discriminator", discriminator, trunk_options),
    },
)


def stargan2_pytorch(path: Path) -> Imported:
    """Convert `{step}_nets.ckpt`, or the averages in `{step}_nets_ema.ckpt`, which have no discriminator.

    Args:
        path: the file, or the folder, of which the newest averages are taken. No code in it is run.

    Returns:
        The recipe `stargan2` with the sizes of the weights. The checkpoint does not name its domains: they are called
        domain_0, domain_1 and so on, in the alphabetical order of the folders that they were trained on.

    Raises:
        CheckpointError: the file is something else, or damaged.
    """
    file = newest(path, r"\d+_nets_ema\.ckpt") if path.is_dir() else path
    report = Report()
    states, _ = networks_in(
        file, STARGAN2.networks, report, "StarGAN v2", ("generator", "mapping_network", "style_encoder")
    )
    report.lines.append(
        "domains are numbered in the alphabetical order of the official folders; name them in data.domains"
    )

    def settings(_: Options, ours: Mapping[str, State]) -> Options:
        number = count(ours["style_encoder"], "", r"heads\.\d+\.weight")
        return {
            "data.domains": [f"domain_{index}" for index in range(number)],
            "data.size": _side(ours["style_encoder"]),
        }

    step = int(file.name.split("_")[0]) if file.name.split("_")[0].isdecimal() else 0
    return STARGAN2.read(file, states, report, settings, step)
