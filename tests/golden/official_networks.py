"""Official checkpoints from figures, and the official networks as ours."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from official_figures import read
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.core.kinds import IMPORTER
from i2i.methods.weights.cut import CUT
from i2i.methods.weights.cyclegan import CYCLEGAN
from i2i.methods.weights.dclgan import SIMDCL
from i2i.methods.weights.munit import MUNIT, UNIT
from i2i.methods.weights.nicegan import NICEGAN
from i2i.methods.weights.pix2pix import PIX2PIX
from i2i.methods.weights.ugatit import UGATIT

Networks = dict[str, dict[str, Tensor]]
LARGE = {
    "ugatit": "{tag}_refckpt_params_0000003.pt",
    "nicegan": "{tag}_checkpoint/golden_params_*.pt",
}
"""Where the large set keeps a checkpoint of the official code; elsewhere it is the folder `{tag}_checkpoint`."""


def split(tensors: Mapping[str, Tensor]) -> Networks:
    """Tensors `network/name` by network."""
    networks: Networks = {}
    for key, value in tensors.items():
        network, _, name = key.partition("/")
        networks.setdefault(network, {})[name] = value
    return networks


def write_checkpoint(method: str, networks: Networks, folder: Path) -> Path:
    """Write networks as the method's official code does, without optimizers.

    Returns:
        What its importer is given: a file or a folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if method in ("cyclegan", "pix2pix", "cut", "dclgan"):
        for name, state in networks.items():
            torch.save(state, folder / f"latest_net_{name}.pth")
        return folder
    if method in ("munit", "unit"):
        for kind in ("gen", "dis"):
            pair = {name[-1]: state for name, state in networks.items() if name.startswith(kind)}
            torch.save(pair, folder / f"{kind}_00000003.pt")
        torch.save({"gen": {}, "dis": {}}, folder / "optimizer.pt")
        return folder
    if method == "nicegan":
        more = {"D_optimizer": {}, "G_optimizer": {}, "start_iter": 2}
        torch.save({**networks, **more}, folder / "golden_params_0000002.pt")
        return folder / "golden_params_0000002.pt"
    assert method == "ugatit"
    torch.save(networks, folder / "params_0000003.pt")
    return folder / "params_0000003.pt"


def official_checkpoint(golden: Path, method: str, tag: str, folder: Path) -> Path:
    """A checkpoint as the official code saves it: of the set where it has one, else written from its weights.

    Args:
        golden: the set's folder.
        tag: of the trajectory.
        folder: where to put it; tests may damage what is there.

    Returns:
        What the importer is given: a file or a folder.
    """
    pattern = LARGE.get(method, "{tag}_checkpoint").format(tag=tag)
    for found in sorted((golden / method).glob(pattern)):
        if found.is_dir():
            shutil.copytree(found, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
            folder.chmod(0o755)
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(found, folder / found.name))
    return write_checkpoint(method, split(read(golden / method, f"{tag}_init").tensors()), folder)


def import_networks(method: str, networks: Networks) -> Imported:
    """Networks through a checkpoint's file and the method's importer."""
    with tempfile.TemporaryDirectory() as folder:
        return IMPORTER(f"{method}-pytorch").component(write_checkpoint(method, networks, Path(folder)))


FORMATS = {
    "cyclegan": CYCLEGAN,
    "pix2pix": PIX2PIX,
    "cut": CUT,
    "dclgan": SIMDCL,
    "ugatit": UGATIT,
    "nicegan": NICEGAN,
    "munit": MUNIT,
    "unit": UNIT,
}


def to_ours(method: str, network: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One official network's state dict, or gradients by the same names, in our names and shapes."""
    # The constants of MUNIT's AdaIN layers have no place in our network.
    unused = (".running_mean", ".running_var") if method in ("munit", "unit") else ("\0",)
    kept = {name: value for name, value in state.items() if not name.endswith(unused)}
    return FORMATS[method].networks[network.replace("_", ".") if method in ("munit", "unit") else network].convert(kept)
