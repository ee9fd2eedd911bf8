"""Epochs, learning rates, checkpoints and devices of CycleGAN's and CUT's command lines."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from i2i.errors import I2IError
from i2i.use.command_lines.cyclegan_flags import FOLDER
from i2i.use.command_lines.flags import Converted, Flags

_PHASES = ("generator", "discriminator")


def set_training(flags: Flags, result: Converted, images: int | None, fast: bool) -> None:
    """Set batch, epochs, learning rates, logging, checkpoints and devices."""
    single = result.base == "sincut"
    batch = flags.take("batch_size", 16 if single else None)
    if "batch_size" in flags:
        result.set("train.batch_size", batch, "--batch_size")
    constant = flags.take("n_epochs", 150 if fast else 8 if single else None)
    decay = flags.take("n_epochs_decay", 50 if fast else 8 if single else None)
    first = flags.take("epoch_count")
    total = constant + decay + 1 - first
    if total < 1:
        raise I2IError(f"--epoch_count {first}: expected at most {constant + decay}, the number of epochs")
    result.set("train.epochs", total, flags.source("n_epochs", "n_epochs_decay", "epoch_count"))
    _schedule(flags, result, images, constant, decay, first, batch)
    for phase in _PHASES:
        if "lr" in flags:
            result.set(f"optimizers.{phase}.lr", flags.take("lr"), "--lr")
        if "beta1" in flags or "beta2" in flags:
            second = flags.take("beta2", 0.99 if single else None) if "beta2" in flags.known else 0.999
            betas = [flags.take("beta1", 0.0 if single else None), second]
            result.set(f"optimizers.{phase}.betas", betas, flags.source("beta1", "beta2"))
    # Theirs counts images, not steps.
    keys = {"print_freq": "log_every", "display_freq": "sample_every", "save_latest_freq": "checkpoint_every"}
    for name, key in keys.items():
        if name in flags:
            result.set(f"train.{key}", max(1, flags.take(name) // batch), f"--{name}")
    if "save_epoch_freq" in flags and images:
        steps = flags.take("save_epoch_freq") * math.ceil(images / batch)
        result.set("train.keep_every", steps, "--save_epoch_freq")
        result.set("train.checkpoint_every", steps, "--save_epoch_freq")
    elif "save_epoch_freq" in flags:
        flags.take("save_epoch_freq")
        result.notes.append(
            "--save_epoch_freq: checkpoints count steps, see train.checkpoint_every; --images converts it"
        )
    if "num_threads" in flags:
        result.set("train.workers", flags.take("num_threads"), "--num_threads")
    if "use_wandb" in flags:
        result.set("train.trackers", ["wandb"] if flags.take("use_wandb") else [], "--use_wandb")
    devices = [one for one in flags.take("gpu_ids").split(",") if one]
    if "gpu_ids" in flags:
        device = f"; --device cuda:{devices[0]} chooses one" if len(devices) == 1 and devices != ["-1"] else ""
        result.notes.append(f"--gpu_ids: of `i2i train`, not of the recipe{device}")
    if devices == ["-1"]:
        result.arguments.append("--device cpu")
    elif len(devices) > 1:
        result.launcher = f"accelerate launch --num_processes {len(devices)} -m i2i"
        result.notes.append("several processes: --batch_size is that of all GPUs in theirs, and of each process here")


def _schedule(
    flags: Flags, result: Converted, images: int | None, constant: int, decay: int, first: int, batch: int
) -> None:
    policy, at_end = flags.take("lr_policy"), "CUT_mode" in flags.known
    sources = flags.source("lr_policy", "n_epochs", "n_epochs_decay", "epoch_count")
    every = flags.take("lr_decay_iters")
    if policy != "step" and "lr_decay_iters" in flags:
        result.notes.append(f"--lr_decay_iters: --lr_policy {policy} does not use it")
    if policy == "plateau":
        raise I2IError("--lr_policy plateau: their code gives it no figure to watch; use linear, step or cosine")
    by_epoch = policy in ("step", "cosine") or first > 1
    if images is None and by_epoch:
        what = f"--lr_policy {policy}" if first == 1 else f"--epoch_count {first}"
        raise I2IError(f"{what}: counts epochs; give i2i import-command --images N, the images of the larger domain")
    if images is None:
        # By the step: no length of an epoch is known.
        if at_end:
            result.set("schedule.epochs", constant + decay, sources)
        result.set("schedule.start", constant / (constant + decay), sources)
        if not at_end:
            result.notes.append("the learning rate falls at each step; with --images N once an epoch, as in theirs")
        return
    options: dict[str, Any] = {"type": f"epoch_{'linear' if policy == 'lambda' else policy}"}
    options["steps_per_epoch"] = math.ceil(images / batch)
    if policy in ("linear", "lambda"):
        options |= {"constant": constant, "decay": decay, "first_epoch": first}
    elif policy == "step":
        options["every"] = every
    else:
        options["period"] = constant
    if at_end:
        options["moment"] = "end"
    for key, value in options.items():
        result.set(f"schedule.{key}", value, sources)


def set_start(flags: Flags, result: Converted) -> None:
    """Start from a checkpoint where the command does."""
    importer = {"cyclegan": "cyclegan-pytorch", "pix2pix": "pix2pix-pytorch"}.get(result.base, "cut-pytorch")
    name = flags.take("pretrained_name") if "pretrained_name" in flags.known else None
    folder = Path(flags.take("checkpoints_dir"), name or flags.take("name")).as_posix()
    older = [one for one in ("epoch", "load_iter") if one in flags and flags.take(one) not in ("latest", 0)]
    if older:
        raise I2IError(
            f"--{older[0]}: import that checkpoint, i2i import {importer} {folder}/FILE --output runs/{result.name}, "
            f"then set train.init = 'runs/{result.name}', and leave the flag out"
        )
    result.notes += [f"--{one}: the newest checkpoint" for one in ("epoch", "load_iter") if one in flags]
    if flags.take("continue_train") or name:
        if result.base == "sincut":
            raise I2IError("--continue_train: checkpoints of SinCUT cannot be imported; leave it out")
        source = flags.source("continue_train", "pretrained_name", "checkpoints_dir", "name")
        result.set("train.init", f"{importer}:{folder}", source)
        result.notes.append("their checkpoints hold no optimizers, so these start from zero, as in theirs")
    elif "checkpoints_dir" in flags:
        result.notes.append(f"--checkpoints_dir: {FOLDER}")
