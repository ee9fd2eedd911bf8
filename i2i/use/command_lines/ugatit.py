"""Command lines of U-GAT-IT's two codes: znxlwm/UGATIT-pytorch b8c4251 and taki0112/UGATIT d508e8f."""

from __future__ import annotations

from collections.abc import Mapping

from i2i.errors import I2IError
from i2i.use.command_lines.flags import Converted, Flag, Flags

_FOLDER = "the run folder holds it: --output"
_GAN = {"gan": "bce_gan", "lsgan": "lsgan", "hinge": "hinge", "wgan-gp": "wgan_gp", "wgan-lp": "wgan_lp"}
_GAN |= {"dragan": "bce_gan"}
_COMMON: Mapping[str, Flag] = {
    "phase": Flag(str, "train", choices=("train", "test")),
    "light": Flag(bool, False, worded=True),
    "dataset": Flag(str, "YOUR_DATASET_NAME"),
    "batch_size": Flag(int, 1),
    "print_freq": Flag(int, 1000),
    "decay_flag": Flag(bool, True, worded=True),
    "lr": Flag(float, 1e-4),
    "adv_weight": Flag(int, 1),
    "cycle_weight": Flag(int, 10),
    "identity_weight": Flag(int, 10),
    "cam_weight": Flag(int, 1000),
    "ch": Flag(int, 64),
    "n_res": Flag(int, 4),
    "n_dis": Flag(int, 6),
    "img_size": Flag(int, 256),
    "img_ch": Flag(int, 3),
    "result_dir": Flag(str, irrelevant=_FOLDER),
}
PYTORCH: Mapping[str, Flag] = {
    **_COMMON,
    "iteration": Flag(int, 1_000_000),
    "save_freq": Flag(int, 100_000),
    "weight_decay": Flag(float, 1e-4),
    "device": Flag(str, "cuda", choices=("cpu", "cuda")),
    "benchmark_flag": Flag(bool, irrelevant="convolution algorithms are chosen by i2i", worded=True),
    "resume": Flag(bool, False, worded=True),
}
"""Flags of the PyTorch code."""
TENSORFLOW: Mapping[str, Flag] = {
    **_COMMON,
    "dataset": Flag(str, "selfie2anime"),
    "epoch": Flag(int, 100),
    "iteration": Flag(int, 10_000),
    "save_freq": Flag(int, 1000),
    "decay_epoch": Flag(int, 50),
    "GP_ld": Flag(int, 10),
    "gan_type": Flag(str, "lsgan", choices=tuple(_GAN)),
    "smoothing": Flag(bool, True, worded=True),
    "n_critic": Flag(int, 1),
    "sn": Flag(bool, True, worded=True),
    "augment_flag": Flag(bool, True, worded=True),
    "checkpoint_dir": Flag(str, irrelevant=_FOLDER),
    "log_dir": Flag(str, irrelevant=_FOLDER),
    "sample_dir": Flag(str, irrelevant=_FOLDER),
}
"""Flags of the TensorFlow code."""


def convert(flags: Flags, base: str) -> Converted:
    """Convert flags of U-GAT-IT's code.

    Args:
        flags: of one of the two codes.
        base: `ugatit` or `ugatit_tf`; `_light` is added where the command says so.

    Raises:
        I2IError: the command translates, continues a run, or asks for what i2i does not have.
    """
    importer = "ugatit-pytorch" if base == "ugatit" else "ugatit-tensorflow"
    name = flags.take("dataset")
    if flags.take("phase") == "test":
        raise I2IError(
            f"--phase test: translates and trains nothing; run i2i import {importer} CHECKPOINT --output runs/{name}, "
            f"then i2i translate runs/{name} dataset/{name}/testA --to b"
        )
    result = Converted(f"{base}_light" if flags.take("light") else base, name)
    if "light" in flags:
        result.notes.append(f"--light: the recipe {result.base}")
    if "phase" in flags:
        result.notes.append("--phase train: what i2i train does")
    if "img_size" in flags or "augment_flag" in flags:
        _size(flags, result, base)
    result.set("data.root", f"dataset/{name}", flags.source("dataset"))
    _numbers(flags, result)
    (_pytorch if base == "ugatit" else _tensorflow)(flags, result)
    result.notes += flags.leftovers()
    return result


def _size(flags: Flags, result: Converted, base: str) -> None:
    size = flags.take("img_size")
    source = flags.source("img_size", "augment_flag")
    result.set("data.size", size, source)
    margin = 30 if base == "ugatit" or size == 256 else 15  # as the TensorFlow code crops
    if base == "ugatit_tf" and not flags.take("augment_flag"):
        result.set("data.flip", False, source)
        margin = 0
    result.set("data.margin", margin, source)


def _numbers(flags: Flags, result: Converted) -> None:
    """Set the keys of which both codes have the flag."""
    keys: dict[str, tuple[str, ...]] = {
        "batch_size": ("train.batch_size",),
        "print_freq": ("train.sample_every",),
        "save_freq": ("train.checkpoint_every",),
        "lr": ("optimizers.generator.lr", "optimizers.discriminator.lr"),
        "n_res": ("translator.generator.blocks",),
        "img_ch": ("data.channels",),
        "adv_weight": ("losses.gan.weight",),
        "cycle_weight": ("losses.cycle.weight",),
        "identity_weight": ("losses.identity.weight",),
        "cam_weight": ("losses.cam.weight",),
    }
    discriminators = [f"translator.discriminators.{part}" for part in ("global_", "local")]
    keys["ch"] = ("translator.generator.channels", *(f"{part}.channels" for part in discriminators))
    for flag, places in keys.items():
        if flag in flags:
            for key in places:
                result.set(key, flags.take(flag), f"--{flag}")
    if "n_dis" in flags:
        for part, more in zip(discriminators, (1, -1), strict=True):
            result.set(f"{part}.layers", flags.take("n_dis") + more, "--n_dis")


def _pytorch(flags: Flags, result: Converted) -> None:
    if flags.take("resume"):
        raise I2IError(
            f"--resume: their checkpoints hold no optimizers; run i2i import ugatit-pytorch FILE --output "
            f"runs/{result.name}, then i2i train --resume runs/{result.name}, or leave --resume out"
        )
    if "resume" in flags:
        result.notes.append("--resume False: a new run")
    if "iteration" in flags:
        result.set("train.steps", flags.take("iteration"), "--iteration")
    if "weight_decay" in flags:
        for phase in ("generator", "discriminator"):
            result.set(f"optimizers.{phase}.weight_decay", flags.take("weight_decay"), "--weight_decay")
    _constant(flags, result)
    if "device" in flags:
        result.notes.append("--device: of `i2i train`, not of the recipe; the machine's accelerator by default")
        if flags.take("device") == "cpu":
            result.arguments.append("--device cpu")


def _tensorflow(flags: Flags, result: Converted) -> None:
    epochs, length, begin = flags.take("epoch"), flags.take("iteration"), flags.take("decay_epoch")
    result.set("train.steps", epochs * length, flags.source("epoch", "iteration"))
    if not _constant(flags, result):
        if not 0 <= begin < epochs:
            raise I2IError(f"--decay_epoch: expected a number below --epoch {epochs}, got {begin}")
        source = flags.source("decay_epoch", "epoch", "iteration")
        for key, value in {"steps_per_epoch": length, "constant": begin + 1, "decay": epochs - begin - 1}.items():
            result.set(f"schedule.{key}", value, source)
    kind = flags.take("gan_type")
    if "gan_type" in flags:
        result.set("losses.gan.type", _GAN[kind], "--gan_type")
    if kind in ("wgan-gp", "wgan-lp"):
        result.set("losses.gan.penalty", flags.take("GP_ld"), flags.source("GP_ld"))
    elif kind == "dragan":
        table = {"type": "dragan", "penalty": flags.take("GP_ld"), "centered": False, "interpolate": True}
        result.set_table("losses.penalty", table, flags.source("gan_type", "GP_ld"))
    elif "GP_ld" in flags:
        flags.take("GP_ld")
        result.notes.append(f"--GP_ld: --gan_type {kind} has no gradient penalty")
    if "smoothing" in flags:
        result.set(
            "translator.generator.decoder_norm.smoothing", 0.1 if flags.take("smoothing") else 0.0, "--smoothing"
        )
    if "n_critic" in flags:
        result.set("translator.critic_steps", flags.take("n_critic"), "--n_critic")
    if "sn" in flags:
        for part in ("global_", "local"):
            value = "per_phase" if flags.take("sn") else False
            result.set(f"translator.discriminators.{part}.spectral_norm", value, "--sn")


def _constant(flags: Flags, result: Converted) -> bool:
    """Set a constant learning rate where the command says so; return whether it does."""
    decays = flags.take("decay_flag")
    if not decays:
        result.set("schedule.type", "constant", "--decay_flag")
    elif "decay_flag" in flags:
        result.notes.append("--decay_flag True: as in the recipe")
    return not decays
