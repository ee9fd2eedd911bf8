"""DCLGAN and SimDCL: `latest_net_{G_A,G_B,D_A,D_B,F1,...}.pth` of JunlinHan/DCLGAN abb805c."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.methods.weights import junyanz
from i2i.methods.weights.cut import filters, projections, taps_of
from i2i.methods.weights.official_files import Report, epoch_files, network_in
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State


def _generator(domain: str) -> Network:
    return Network(
        f"generators.{domain}",
        "translator.generator",
        junyanz.resnet,
        junyanz.generator_options,
        junyanz.generator_traces,
        required=True,
        constants=filters,
    )


def _discriminator(domain: str) -> Network:
    return Network(
        f"discriminators.{domain}.local",
        "translator.discriminators.local",
        junyanz.discriminator,
        junyanz.discriminator_options,
        junyanz.discriminator_traces,
        constants=filters,
    )


def _heads(domain: str) -> Network:
    return Network(f"heads.{domain}", "translator", projections, lambda ours, traces: {})


def _mapping(name: str) -> Network:
    return Network(f"mappings.{name}", "translator", _mapping_layers, lambda ours, traces: {})


def _mapping_layers(state: State, traces: Options) -> Layers:
    return {"model.0": "conv", "model.4": "first", "model.6": "second"}


DCLGAN = Format(
    "DCLGAN",
    "dclgan",
    {
        "G_A": _generator("b"),  # from a to b; i2i names a generator after the domain that it translates to,
        "G_B": _generator("a"),
        "D_A": _discriminator("b"),  # a discriminator after the domain whose images are real to it,
        "D_B": _discriminator("a"),
        "F1": _heads("a"),  # and heads after the domain whose images are encoded
        "F2": _heads("b"),
    },
)
SIMDCL = Format(
    "SimDCL",
    "simdcl",
    {
        **DCLGAN.networks,
        "F3": _mapping("a.real"),
        "F4": _mapping("b.fake"),
        "F5": _mapping("b.real"),
        "F6": _mapping("a.fake"),
    },
)
SIMILARITY = ("F3", "F4", "F5", "F6")
LAYERS = (4, 8, 12, 16)
"""The official default of the layers whose features are compared; the files do not say which ones were."""


def dclgan_pytorch(path: Path) -> Imported:
    """Convert a checkpoint folder of the official DCLGAN or SimDCL.

    Args:
        path: folder with `<epoch>_net_{G_A,G_B,D_A,D_B,F1,F2}.pth`, of which the last epoch is taken. With F3 to F6 it
            becomes the recipe `simdcl`, otherwise `dclgan`. No code in it is run.

    Returns:
        The recipe with the sizes of the weights. Networks that are missing start from scratch, which only matters to
        further training.

    Raises:
        CheckpointError: a file is something else, is damaged, or the networks do not fit together.
    """
    if not path.is_dir():
        raise CheckpointError(f"{path}: expected the folder with latest_net_G_A.pth and latest_net_G_B.pth")
    files = epoch_files(path, tuple(SIMDCL.networks))
    kind = SIMDCL if files.keys() & set(SIMILARITY) else DCLGAN
    report, states = Report(), {}
    for name in sorted(files, key=list(SIMDCL.networks).index):
        what = {"G": "a generator", "D": "a discriminator", "F": "a head"}[name[0]]
        states[name] = junyanz.renamed(network_in(files[name], report, (f"net{name}", name), f"{what} of DCLGAN"))

    def more(settings: Options, ours: Mapping[str, State]) -> Options:
        found = taps_of(settings, ours.get("F1", ours.get("F2")), LAYERS, report)
        mapping = next((ours[name] for name in SIMILARITY if name in ours), None)
        return found if mapping is None else found | {"translator.similarity": mapping["first.weight"].shape[0]}

    return kind.read(path, states, report, more)
