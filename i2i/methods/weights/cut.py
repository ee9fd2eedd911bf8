"""CUT and FastCUT: `latest_net_{G,D,F}.pth` of taesungp/contrastive-unpaired-translation b3ac297."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.core.kinds import GENERATOR
from i2i.errors import CheckpointError
from i2i.methods.weights import junyanz
from i2i.methods.weights.official_files import Report, epoch_files, network_in
from i2i.methods.weights.pix2pix import DISCRIMINATOR_ALIASES, GENERATOR_ALIASES
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State, count
from i2i.nn.functional.resampling import DOUBLING, HALVING, blur_kernel
from i2i.nn.layers.stages import named_taps
from i2i.nn.weight_files import few, load_weight_file

LAYERS = (0, 4, 8, 12, 16)
"""The official default of the layers whose features are compared; the files do not say which ones were."""


def projections(state: State, traces: Options) -> Layers:
    """Names in `PatchSampleF`."""
    numbers = range(count(state, r"mlp_\d+\.0\.weight", r"mlps\.\d+\.first\.weight"))
    first = {f"mlp_{i}.0": f"mlps.{i}.first" for i in numbers}
    return first | {f"mlp_{i}.2": f"mlps.{i}.second" for i in numbers}


def filters(ours: State, table: Layers) -> dict[str, Tensor]:
    """The blurs' filters, which the official code stores once for each channel."""
    found = {}
    for official, mine in table.items():
        if mine.endswith(".kernel"):
            block, blur = mine.removesuffix(".kernel").rsplit(".", 1)
            channels = ours[f"{block}.conv.weight"].shape[1 if blur == "repeat" else 0]
            kernel = 4 * blur_kernel(DOUBLING) if blur == "repeat" else blur_kernel(HALVING)
            found[official] = kernel.expand(channels, 1, -1, -1).clone()
    return found


CUT = Format(
    "CUT",
    "cut",
    {
        "G": Network(
            "generator",
            "translator.generator",
            junyanz.resnet,
            junyanz.generator_options,
            junyanz.generator_traces,
            required=True,
            constants=filters,
        ),
        "D": Network(
            "discriminators.b.local",
            "translator.discriminators.local",
            junyanz.discriminator,
            junyanz.discriminator_options,
            junyanz.discriminator_traces,
            constants=filters,
        ),
        "F": Network("heads", "translator", projections, lambda ours, traces: {}),
    },
)
ALIASES = {"G": GENERATOR_ALIASES, "D": DISCRIMINATOR_ALIASES, "F": ("netF", "F")}


def cut_pytorch(path: Path) -> Imported:
    """Convert CUT's `latest_net_G.pth`, and `latest_net_D.pth` and `latest_net_F.pth` where they lie next to it.

    Args:
        path: the generator's file, or the folder, of which the last epoch is taken. No code in it is run.

    Returns:
        The recipe `cut` with the sizes of the weights. A missing discriminator or missing heads start from scratch,
        which only matters to further training.

    Raises:
        CheckpointError: a file is something else, is damaged, or the networks do not fit together.
    """
    if path.is_dir():
        files = epoch_files(path, CUT.networks)
    elif "net_G" in path.name:
        siblings = {name: path.with_name(path.name.replace("net_G", f"net_{name}")) for name in "DF"}
        files = {"G": path} | {name: file for name, file in siblings.items() if file.is_file()}
    else:
        raise CheckpointError(f"{path}: expected the generator's file, such as latest_net_G.pth, or its folder")
    report = Report()
    states: dict[str, State] = {}
    for name in sorted(files, key="GDF".index):
        if name == "F" and load_weight_file(files[name]) == {}:
            report.lines.append("no layers in the heads' file (netF = sample), so features are compared as they are")
            states[name] = {}
            continue
        what = {"G": "the generator", "D": "the discriminator", "F": "the heads"}[name]
        states[name] = junyanz.renamed(network_in(files[name], report, ALIASES[name], f"{what} of CUT"))
    return CUT.read(path, states, report, lambda settings, ours: taps_of(settings, ours.get("F"), LAYERS, report))


def taps_of(settings: Options, heads: State | None, layers: tuple[int, ...], report: Report) -> Options:
    """Layers that fit the heads: the official default, or else the first ones of the right sizes, which is a guess.

    Args:
        settings: what is known of the recipe, by key path.
        heads: state dict of the heads in our names; None where there is none.
        layers: the official default.
        report: gets a line about a guess.
    """
    options = {
        key.removeprefix("translator.generator."): value
        for key, value in settings.items()
        if key.startswith("translator.generator.") and not key.endswith((".type", ".norm"))
    }
    with torch.device("meta"):
        generator = GENERATOR("resnet", **options)()
    stages = generator.stages()  # type: ignore[attr-defined]
    default = tuple(layer for layer in layers if layer < len(stages))
    names: tuple[str, ...] = named_taps(stages, default)
    if heads is None:
        return {"translator.taps": list(names)}
    numbers = range(count(heads, "", r"mlps\.\d+\.first\.weight"))
    widths = [heads[f"mlps.{i}.first.weight"].shape[-1] for i in numbers]
    if widths and tuple(widths) != generator.tapped_channels(default):  # type: ignore[attr-defined]
        remaining = iter(stages)
        found = [next((stage.name for stage in remaining if stage.channels == width), None) for width in widths]
        if None in found:
            raise CheckpointError(f"heads for features of {few(widths)} channels fit no layers of the generator")
        names = tuple(name for name in found if name is not None)
        report.lines.append("guessed the layers that the heads belong to (translator.taps)")
    width = heads["mlps.0.first.weight"].shape[0] if widths else "none"
    return {"translator.taps": list(names), "translator.width": width}
