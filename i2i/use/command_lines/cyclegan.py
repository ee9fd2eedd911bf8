"""Command lines of junyanz/pytorch-CycleGAN-and-pix2pix, and of taesungp/contrastive-unpaired-translation (CUT)."""

from __future__ import annotations

from pathlib import Path

from i2i.errors import I2IError
from i2i.use.command_lines.contrastive import set_contrastive, set_single_image
from i2i.use.command_lines.flags import Converted, Flags
from i2i.use.command_lines.networks import set_discriminator, set_generator
from i2i.use.command_lines.training import set_start, set_training

_RESIZE = {"resize_and_crop": "square", "scale_shortside_and_crop": "short_side", "crop": "none"}


def convert(flags: Flags, images: int | None) -> Converted:
    """Convert flags of one of the two codes.

    Args:
        flags: of the command.
        images: number of images of the larger domain, which theirs counts epochs with; None if not known.

    Raises:
        I2IError: the command asks for what i2i does not have or needs `images` for.
    """
    is_cut = "CUT_mode" in flags.known
    model = flags.take("model") or ("cut" if is_cut else "cycle_gan")
    known = ("cut", "sincut") if is_cut else ("cycle_gan", "pix2pix")
    if model not in known:
        reason = {"test": "it translates; use i2i import and i2i translate"}.get(model, "i2i has no such method")
        raise I2IError(f"--model {model}: {reason}; {flags.code}'s models with a recipe: {', '.join(known)}")
    if flags.take("phase") != "train":
        raise I2IError(f"--phase {flags.take('phase')}: data.a and data.b name the folders to train on; leave it out")
    if flags.take("dataroot") is None:
        raise I2IError(f"{flags.code} needs --dataroot, the folder of images")
    fast = is_cut and flags.take("CUT_mode").lower() == "fastcut"
    base = {"cycle_gan": "cyclegan", "pix2pix": "pix2pix", "sincut": "sincut"}.get(model, "fastcut" if fast else "cut")
    result = Converted(base, flags.take("name"))
    result.notes += [f"--{name}: the recipe {base}" for name in ("model", "CUT_mode") if name in flags]
    result.notes += [f"--{name}: i2i train --output runs/{result.name}" for name in ("name",) if name in flags]
    result.notes += ["--phase train: what i2i train does"] * ("phase" in flags)
    if base == "sincut":
        set_single_image(flags, result)
    else:
        _data(flags, result, model)
        set_generator(flags, result, model)
        set_discriminator(flags, result, model)
    if is_cut:
        set_contrastive(flags, result, fast)
    else:
        _weights(flags, result, model)
    set_training(flags, result, images, fast)
    set_start(flags, result)
    result.notes += flags.leftovers()
    return result


def _data(flags: Flags, result: Converted, model: str) -> None:
    root, swapped = flags.take("dataroot").rstrip("/"), flags.take("direction") == "BtoA"
    mode, expected = flags.take("dataset_mode"), "aligned" if model == "pix2pix" else "unaligned"
    if mode not in (None, expected):
        raise I2IError(f"--dataset_mode {mode}: --model {model} trains on {expected} images here")
    if mode:
        result.notes.append(f"--dataset_mode {mode}: the recipe's data set")
    if swapped and result.base in ("cut", "fastcut"):  # the translator of CUT goes from a to b
        result.set("data.a", f"{root}/trainB", "--dataroot, --direction")
        result.set("data.b", f"{root}/trainA", "--dataroot, --direction")
        for domain, other in ("aB", "bA"):
            if Path(root, f"test{other}").is_dir():
                result.set(f"data.test_{domain}", f"{root}/test{other}", "--dataroot, --direction")
        swapped = False
    else:
        result.set("data.root", root, "--dataroot")
        if swapped and model == "pix2pix":
            result.set("translator.source", "b", "--direction")
        elif swapped:
            result.notes.append("--direction BtoA: both directions are trained; A and B are a and b as in the folders")
        elif "direction" in flags:
            result.notes.append("--direction AtoB: as in the recipe")
    source, target = flags.take("input_nc"), flags.take("output_nc")
    if "input_nc" in flags or "output_nc" in flags:
        a, b = (target, source) if swapped else (source, target)
        if model == "pix2pix" and a != b:
            raise I2IError(
                f"--input_nc {source} --output_nc {target}: both halves of a side-by-side image "
                f"have the same channels; "
                f"put A and B into two folders, set data.a, data.b, and data.channels = {{ a = {a}, b = {b} }}"
            )
        result.set("data.channels", a if a == b else {"a": a, "b": b}, flags.source("input_nc", "output_nc"))
    preprocess, size = flags.take("preprocess"), flags.take("crop_size")
    if preprocess not in _RESIZE:
        nearest = "scale_shortside_and_crop" if preprocess.startswith("scale") else "crop"
        raise I2IError(
            f"--preprocess {preprocess}: i2i scales by the shorter side and trains on crops of one size; nearest: "
            f"--preprocess {nearest}"
        )
    result.set("data.size", size, flags.source("crop_size"))
    if preprocess == "crop":
        if "load_size" in flags:
            flags.take("load_size")
            result.notes.append("--load_size: --preprocess crop does not resize")
    else:
        result.set("data.load_size", flags.take("load_size"), flags.source("load_size"))
    if "preprocess" in flags:
        result.set("data.resize", _RESIZE[preprocess], "--preprocess")
    if "no_flip" in flags:
        result.set("data.flip", not flags.take("no_flip"), "--no_flip")


def _weights(flags: Flags, result: Converted, model: str) -> None:
    """Weights and pools of CycleGAN and pix2pix."""
    modes = {"lsgan": "lsgan", "vanilla": "bce_gan"}
    mode = flags.take("gan_mode", "vanilla" if model == "pix2pix" else None)
    if mode not in modes:
        raise I2IError(
            f"--gan_mode {mode}: their {model} computes it without the gradient penalty; write losses.gan.type = "
            f"'wgan_gp' into the recipe for the one with it"
        )
    if "gan_mode" in flags:
        result.set("losses.gan.type", modes[mode], "--gan_mode")
    if model == "pix2pix":
        if "pool_size" in flags and flags.take("pool_size"):
            raise I2IError("--pool_size: pix2pix has no pool here, as in the paper; leave it out")
        if "pool_size" in flags:
            result.notes.append("--pool_size 0: as in the recipe")
        if "lambda_L1" in flags:
            result.set("losses.l1.weight", flags.take("lambda_L1"), "--lambda_L1")
        return
    if "pool_size" in flags:
        result.set("translator.pool", flags.take("pool_size"), "--pool_size")
    first, second, share = (flags.take(f"lambda_{name}") for name in ("A", "B", "identity"))
    a, b = (second, first) if flags.take("direction") == "BtoA" else (first, second)
    if "lambda_A" in flags or "lambda_B" in flags:
        # Their weights are of the cycle that begins in A or in B; our domain of a cycle is that of its images.
        result.set("losses.cycle.weight", a if a == b else {"a": a, "b": b}, flags.source("lambda_A", "lambda_B"))
    if any(name in flags for name in ("lambda_A", "lambda_B", "lambda_identity")):
        # Their identity of B, which G_A computes, carries lambda_B; again our domain is that of the images.
        weight = share * a if a == b else {"a": share * a, "b": share * b}
        result.set("losses.identity.weight", weight, flags.source("lambda_identity", "lambda_A", "lambda_B"))
