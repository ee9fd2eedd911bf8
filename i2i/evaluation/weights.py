"""Weight files of measuring networks: what is needed, where it comes from, and where the user's copy is."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from i2i.core.spelling import did_you_mean
from i2i.errors import CheckpointError, I2IError
from i2i.nn.weight_files import load_weight_file

CACHE_VARIABLE = "I2I_CACHE"


@dataclass(frozen=True)
class WeightFile:
    """A weight file that i2i can use and does not contain.

    Args:
        purpose: what it is needed for.
        file: name of the published file.
        url: where its authors publish it; i2i never downloads it.
        sha256: SHA-256 of the published file, or its first digits where only those are published; empty if unknown.
        tensors: name and shape of some of its tensors, by which a wrong file is recognized.
    """

    purpose: str
    file: str
    url: str
    sha256: str
    tensors: Mapping[str, tuple[int, ...]]


KNOWN = {
    "inception": WeightFile(
        "FID, KID and all protocols of published figures",
        "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "6726825d",
        {"Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "fc.weight": (1008, 2048)},
    ),
    "lpips-alex": WeightFile(
        "LPIPS with AlexNet",
        "alexnet-owt-7be5be79.pth",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be79",
        {"features.0.weight": (64, 3, 11, 11)},
    ),
    "lpips-vgg": WeightFile(
        "LPIPS with VGG16",
        "vgg16-397923af.pth",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "397923af",
        {"features.0.weight": (64, 3, 3, 3), "features.28.weight": (512, 512, 3, 3)},
    ),
    "lpips-squeeze": WeightFile(
        "LPIPS with SqueezeNet",
        "squeezenet1_1-b8a52dc0.pth",
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        "b8a52dc0",
        {"features.0.weight": (64, 3, 3, 3), "features.3.squeeze.weight": (16, 64, 1, 1)},
    ),
    "dino": WeightFile(
        "DINO structure distance (ViT-B/8)",
        "dino_vitbase8_pretrain.pth",
        "https://dl.fbaipublicfiles.com/dino/dino_vitbase8_pretrain/dino_vitbase8_pretrain.pth",
        "",
        {"patch_embed.proj.weight": (768, 3, 8, 8)},
    ),
    "clip": WeightFile(
        "CMMD (ViT-L/14 at 336 pixels, timm's names)",
        "vit_large_patch14_clip_336.openai.safetensors",
        "https://huggingface.co/timm/vit_large_patch14_clip_336.openai/resolve/main/model.safetensors",
        "",
        {"patch_embed.proj.weight": (1024, 3, 14, 14), "head.weight": (768, 1024)},
    ),
}


class MissingWeightsError(I2IError):
    """A measuring network's weights are not there."""


def cache_folder() -> Path:
    """Return the folder of weights and features: `I2I_CACHE`, or `i2i` in the user's cache folder."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "i2i"


def check_name(name: str) -> str:
    """Return the name of a known weight file.

    Raises:
        I2IError: there is none of this name.
    """
    if name not in KNOWN:
        raise I2IError(f"no weights are called {name!r}.{did_you_mean(name, KNOWN)} There are: {', '.join(KNOWN)}")
    return name


def cached(name: str) -> Path | None:
    """Return the file that `i2i weights add` has put into the cache, None if there is none."""
    return next(iter(sorted((cache_folder() / "weights").glob(f"{check_name(name)}.*"))), None)


def find(name: str, given: Mapping[str, Path] | None = None) -> Path:
    """Return the user's file of some weights: the given one, or the one in the cache.

    Raises:
        MissingWeightsError: there is none; says where it comes from.
    """
    path = (given or {}).get(check_name(name)) or cached(name)
    if path is None:
        known = KNOWN[name]
        raise MissingWeightsError(
            f"weights {name}: expected {known.file} ({known.purpose}), found none; download {known.url} and run "
            f"`i2i weights add {name} FILE`, or give --weights {name}=FILE"
        )
    return path


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict without unpickling code.

    Raises:
        CheckpointError: the file is missing, damaged or no state dict.
    """
    state = load_weight_file(path)
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: expected a state dict, names and tensors alone")
    return state


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        CheckpointError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: expected a weight file, the system says {error.strerror!r}") from error


def is_published(name: str, digest: str) -> bool | None:
    """Return whether a hash is that of the published file; None where its hash is not known."""
    expected = KNOWN[check_name(name)].sha256
    return digest.startswith(expected) if expected else None


def add(name: str, path: Path, any_hash: bool = False) -> Path:
    """Copy a weight file into the cache after checking it.

    Args:
        name: which weights the file holds.
        path: the file.
        any_hash: accept a file whose hash is not that of the published one.

    Returns:
        The copy.

    Raises:
        I2IError: the file is damaged or holds other weights, or its hash differs.
    """
    known, state, digest = KNOWN[check_name(name)], read(path), sha256(path)
    for tensor, shape in known.tensors.items():
        given = tuple(state[tensor].shape) if tensor in state else None
        if given != shape:
            got = "none" if given is None else str(list(given))
            raise I2IError(f"{path} does not hold weights {name}: expected {tensor} {list(shape)}, got {got}")
    if is_published(name, digest) is False and not any_hash:
        raise I2IError(
            f"{path} is not the published {known.file}: expected a SHA-256 that begins with {known.sha256}, got "
            f"{digest[:16]}; download it again, or give --any-hash for a converted copy"
        )
    target = cache_folder() / "weights" / f"{name}{path.suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(path, part)
        for other in target.parent.glob(f"{name}.*"):
            other.unlink()
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target
