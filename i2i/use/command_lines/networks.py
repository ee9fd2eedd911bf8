"""Networks of CycleGAN's and CUT's command lines."""

from __future__ import annotations

from typing import Any

from i2i.errors import I2IError
from i2i.use.command_lines.flags import Converted, Flags

_D = "translator.discriminators.local"
_G = "translator.generator"


def _norm(flags: Flags, name: str, default: str | None = None) -> tuple[Any, bool]:
    """Return a norm of a network, and whether its convolutions have a bias, which batch norm makes useless."""
    norm = flags.take(name, default)
    if norm == "instance":
        return "in", True
    if norm == "batch":
        return {"type": "bn", "statistics": "batch"}, False
    hint = "batch and instance norm of each process's own images are instance and batch" if "sync" in norm else ""
    raise I2IError(f"--{name} {norm}: i2i has --{name} instance and batch here{f'; {hint}' if hint else ''}")


def _initialization(flags: Flags) -> str:
    if flags.take("init_gain") != flags.known["init_gain"].default and flags.take("init_type") != "kaiming":
        raise I2IError("--init_gain: i2i initializes with 0.02; leave it out")
    return str(flags.take("init_type"))


def set_generator(flags: Flags, result: Converted, model: str) -> None:
    """Set the generator where a flag of it is given."""
    is_cut = "CUT_mode" in flags.known
    name = flags.take("netG", "unet_256" if model == "pix2pix" else None)
    norm, bias = _norm(flags, "normG") if is_cut else _norm(flags, "norm", "batch" if model == "pix2pix" else None)
    drops = not flags.take("no_dropout") if model == "pix2pix" or is_cut else False
    if model == "cycle_gan" and "no_dropout" in flags:
        flags.take("no_dropout")
        result.notes.append("--no_dropout: the recipe has no dropout, as their default")
    options: dict[str, Any] = {
        "channels": flags.take("ngf"),
        "norm": norm,
        "bias": bias,
        "dropout": 0.5 if drops else 0.0,
    }
    options["init"] = _initialization(flags)
    names = ["netG", "ngf", "normG" if is_cut else "norm", "no_dropout", "init_type", "init_gain"]
    names += ["no_antialias", "no_antialias_up"] if is_cut else []
    if name in ("resnet_9blocks", "resnet_6blocks"):
        table = {"type": "resnet", "blocks": int(name[7]), **options}
        if is_cut:
            table["down"] = "strided" if flags.take("no_antialias") else "blur"
            table["upsample"] = "transposed" if flags.take("no_antialias_up") else "blur"
        if drops:
            result.notes.append(
                "dropout of residual blocks is off when i2i translates; theirs stays on unless --eval is given"
            )
    elif name in ("unet_256", "unet_128") and not is_cut:
        table = {"type": "unet", "levels": 8 if name == "unet_256" else 7, **options}
    else:
        known = "resnet_9blocks and resnet_6blocks" + ("" if is_cut else ", unet_256 and unet_128")
        raise I2IError(f"--netG {name}: i2i has {known} here")
    if any(flag in flags for flag in names):
        result.set_table(_G, table, flags.source(*names))


def set_discriminator(flags: Flags, result: Converted, model: str) -> None:
    """Set the discriminator where a flag of it is given."""
    is_cut = "CUT_mode" in flags.known
    name = flags.take("netD")
    norm, bias = _norm(flags, "normD") if is_cut else _norm(flags, "norm", "batch" if model == "pix2pix" else None)
    layers = flags.take("n_layers_D")
    if name != "n_layers" and "n_layers_D" in flags:
        result.notes.append(f"--n_layers_D: --netD {name} does not use it")
    options = {"channels": flags.take("ndf"), "norm": norm, "bias": bias, "init": _initialization(flags)}
    if name in ("basic", "n_layers"):
        table = {"type": "patch", "layers": 5 if name == "basic" else layers + 2, **options}
        if is_cut:
            table["down"] = "strided" if flags.take("no_antialias") else "blur"
    elif name == "pixel":
        table = {"type": "pixel", **options}
    else:
        raise I2IError(f"--netD {name}: i2i has basic, n_layers and pixel here")
    names = ("netD", "ndf", "normD" if is_cut else "norm", "init_type", "init_gain")
    if any(
        flag in flags
        for flag in (*names, *(("n_layers_D",) if name == "n_layers" else ()), *(("no_antialias",) if is_cut else ()))
    ):
        result.set_table(_D, table, flags.source(*names, "n_layers_D", "no_antialias"))
