"""Options of CUT, FastCUT and SinCUT, of taesungp/contrastive-unpaired-translation."""

from __future__ import annotations

from pathlib import Path

from i2i.errors import I2IError
from i2i.use.command_lines.flags import Converted, Flags

_G = "translator.generator"


def set_contrastive(flags: Flags, result: Converted, fast: bool) -> None:
    """Options of CUT, FastCUT and SinCUT."""
    single = result.base == "sincut"
    mode = flags.take("gan_mode", "nonsaturating" if single else None)
    modes = {"lsgan": "lsgan", "vanilla": "bce_gan", "nonsaturating": "bce_gan"}
    if mode not in modes:
        raise I2IError(f"--gan_mode {mode}: i2i has {', '.join(modes)} here")
    if "gan_mode" in flags:
        result.set("losses.gan.type", modes[mode], "--gan_mode")
    if "lambda_GAN" in flags:
        result.set("losses.gan.weight", {"discriminator": 0.5, "generator": flags.take("lambda_GAN")}, "--lambda_GAN")
    identity = flags.take("nce_idt", not fast)
    weight = flags.take("lambda_NCE", 10.0 if fast else 4.0 if single else None)
    if "lambda_NCE" in flags or "nce_idt" in flags:
        source = flags.source("lambda_NCE", "nce_idt")
        result.set("translator.identity", identity or single, source)
        result.set("losses.nce.weight", weight / 2 if identity else weight, source)
        result.set("losses.nce_identity.weight", weight / 2 if identity else 0, source)
    if "nce_layers" in flags or flags.take("no_antialias"):
        try:
            taps = [int(layer) for layer in flags.take("nce_layers", "0,2,4" if single else None).split(",")]
        except ValueError:
            raise I2IError(f"--nce_layers: expected numbers such as 0,4,8, got {flags.take('nce_layers')!r}") from None
        if single:
            raise I2IError("--nce_layers: layers of StyleGAN2's blocks are counted otherwise here; see translator.taps")
        result.set("translator.taps", taps, flags.source("nce_layers", "no_antialias"))
    head = flags.take("netF")
    if head not in ("mlp_sample", "sample"):
        raise I2IError(f"--netF {head}: i2i has mlp_sample and sample")
    if "netF" in flags or "netF_nc" in flags:
        result.set(
            "translator.width", "none" if head == "sample" else flags.take("netF_nc"), flags.source("netF", "netF_nc")
        )
        flags.take("netF_nc")
    if "nce_T" in flags:
        for term in ("nce", "nce_identity"):
            result.set(f"losses.{term}.temperature", flags.take("nce_T"), "--nce_T")
    name = "nce_includes_all_negatives_from_minibatch"
    if name in flags:
        for term in ("nce", "nce_identity"):
            result.set(f"losses.{term}.negatives", "batch" if flags.take(name) else "image", f"--{name}")
    if "num_patches" in flags:
        result.set("translator.patches", flags.take("num_patches"), "--num_patches")
    if "flip_equivariance" in flags:
        result.set("translator.flip_equivariance", flags.take("flip_equivariance"), "--flip_equivariance")
    if not single:
        for name in ("random_scale_max", "stylegan2_G_num_downsampling", "lambda_R1", "lambda_identity"):
            if name in flags:
                flags.take(name)
                result.notes.append(f"--{name}: belongs to --model sincut and has no effect on CUT")


def set_single_image(flags: Flags, result: Converted) -> None:
    """Set the data and the networks of SinCUT, whose folders hold one image each."""
    root = flags.take("dataroot").rstrip("/")
    if flags.take("direction") == "BtoA":
        raise I2IError("--direction BtoA: exchange the folders trainA and trainB, and leave it out")
    for domain in "ab":
        folder = Path(root, f"train{domain.upper()}")
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        result.set(f"data.{domain}", (found[0] if found else folder / "IMAGE.jpg").as_posix(), "--dataroot")
        if len(found) != 1:
            result.notes.append(
                f"data.{domain}: write the name of the one image in {folder.as_posix()} into the recipe"
            )
    fixed = {"netG": "stylegan2", "netD": "stylegan2", "preprocess": "zoom_and_patch", "dataset_mode": "singleimage"}
    for name, value in fixed.items():
        if flags.take(name, value) != value:
            raise I2IError(f"--{name} {flags.take(name)}: --model sincut has {value} here")
        if name in flags:
            result.notes.append(f"--{name} {value}: as in the recipe")
    keys = {"crop_size": "data.size", "random_scale_max": "data.zoom", "lambda_R1": "losses.r1.gamma"}
    keys |= {"lambda_identity": "losses.identity.weight", "stylegan2_G_num_downsampling": f"{_G}.halvings"}
    for name, key in keys.items():
        if name in flags:
            result.set(key, flags.take(name), f"--{name}")
    if "ngf" in flags:
        result.set(f"{_G}.channels", 8 * flags.take("ngf"), "--ngf")
    if "ndf" in flags:
        result.set("translator.discriminators.patch.channels", 8 * flags.take("ndf"), "--ndf")
    if "batch_size" in flags:
        result.set("data.group", flags.take("batch_size"), "--batch_size")
    if "no_flip" in flags:
        result.set("data.flip", not flags.take("no_flip"), "--no_flip")
    unused = (
        "load_size",
        "normG",
        "normD",
        "no_antialias",
        "no_antialias_up",
        "no_dropout",
        "n_layers_D",
        "init_type",
        "init_gain",
    )
    for name in unused:
        if name in flags:
            flags.take(name)
            result.notes.append(f"--{name}: has no effect on single images or on StyleGAN2's networks")
    for name in ("input_nc", "output_nc"):
        if name in flags and flags.take(name) != 3:
            raise I2IError(f"--{name}: set data.channels in the recipe of a single image, and leave it out")
        if name in flags:
            result.notes.append(f"--{name} 3: as in the recipe")
