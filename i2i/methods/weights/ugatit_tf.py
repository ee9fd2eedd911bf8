"""U-GAT-IT: checkpoints of the official TensorFlow code, taki0112/UGATIT d508e8f, and safetensors by the same names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from torch.nn import functional as F

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.methods.weights.official_files import Report, newest, step_of
from i2i.methods.weights.ugatit import image_size
from i2i.methods.weights.weight_map import Format, Layers, Network, Options, State, count
from i2i.nn.tensorflow_bundle import read_bundle
from i2i.nn.weight_files import few, load_weight_file

FOLDER = re.compile(
    r"UGATIT(?:_light)?_.*_(?P<gan>gan|lsgan|wgan-gp|wgan-lp|dragan|hinge)_\d+resblock_\d+dis_(?P<critic>\d+)"
    r"_(?P<adv>[\d.]+)_(?P<cycle>[\d.]+)_(?P<identity>[\d.]+)_(?P<cam>[\d.]+)(?:_sn)?(?P<smoothing>_smoothing)?"
)
"""Name that the official code gives the folder of a checkpoint, which holds the options that shapes do not show."""
GANS = {"gan": "bce_gan", "lsgan": "lsgan", "wgan-gp": "wgan_gp", "wgan-lp": "wgan_lp", "hinge": "hinge"}
BETA2 = 0.999
"""Decay of Adam's second moment in the official code; the file stores its power only."""
MOMENTS = {"Adam": "exp_avg", "Adam_1": "exp_avg_sq"}


def generator(state: State, traces: Options) -> Layers:
    """Names in `generator`."""
    table = {
        "conv": "encoder.stem.conv",
        **_norm("ins_norm", "encoder.stem.norm"),
        "CAM_logit": "attention.classifiers.shared",
        "conv_1x1": "attention.mix",
        "MLP.linear_0": "modulation.first",
        "MLP.linear_1": "modulation.second",
        "MLP.gamma": "modulation.gamma",
        "MLP.beta": "modulation.beta",
        "G_logit": "image_decoder.head",
    }
    for i in range(2):
        table |= {
            f"conv_{i}": f"encoder.down.{i}.conv",
            **_norm(f"ins_norm_{i}", f"encoder.down.{i}.norm"),
            f"up_conv_{i}": f"image_decoder.up.{i}.conv",
            f"layer_ins_norm_{i}": f"image_decoder.up.{i}.norm",
        }
    for i in range(count(state, r"resblock_\d+\.res1\.conv_0\.weight", r"encoder\.blocks\.\d+\.first\.conv\.weight")):
        for official, half in (("res1", "first"), ("res2", "second")):
            table |= {
                f"resblock_{i}.{official}.conv_0": f"encoder.blocks.{i}.{half}.conv",
                **_norm(f"resblock_{i}.{official}.instance_norm", f"encoder.blocks.{i}.{half}.norm"),
                f"adaptive_resblock{i}.{official}.conv_0": f"decoder.{i}.{half}.conv",
                f"adaptive_resblock{i}.{official}.instance_layer_norm": f"decoder.{i}.{half}.norm",
            }
    return table


def _norm(official: str, ours: str) -> Layers:
    return {f"{official}.gamma": f"{ours}.weight", f"{official}.beta": f"{ours}.bias"}


def discriminator(state: State, traces: Options) -> Layers:
    """Names in `discriminator_local` and `discriminator_global`."""
    convolutions = count(state, r"conv_(?:\d+|last)\.weight(?:_orig)?", r"blocks\.\d+\.conv\.weight")
    return {
        **{f"conv_{i}": f"blocks.{i}.conv" for i in range(convolutions - 1)},
        "conv_last": f"blocks.{convolutions - 1}.conv",
        "CAM_logit": "attention.classifiers.shared",
        "conv_1x1": "attention.mix",
        "D_logit": "final",
    }


def generator_options(ours: State, traces: Options) -> Options:
    """Sizes of `resnet_adalin`."""
    seen = ours["modulation.first.weight"].shape
    return {
        "channels": ours["encoder.stem.conv.weight"].shape[0],
        "blocks": count(ours, "", r"decoder\.\d+\.first\.conv\.weight"),
        "light": seen[0] == seen[-1],
    }


def discriminator_options(ours: State, traces: Options) -> Options:
    """Sizes of `patch`, and whether it has spectral norm."""
    return {
        "channels": ours["blocks.0.conv.weight"].shape[0],
        "layers": count(ours, "", r"blocks\.\d+\.conv\.weight") + 1,
        "spectral_norm": "per_phase" if "blocks.0.conv.u" in ours else False,
    }


UGATIT_TF = Format(
    "U-GAT-IT (TensorFlow)",
    "ugatit_tf",
    {
        **{
            f"generator_{domain.upper()}": Network(
                f"generators.{domain}", "translator.generator", generator, generator_options, required=True
            )
            for domain in "ba"  # in the official code, too, a generator makes images of the domain that names it
        },
        **{
            f"discriminator_{domain.upper()}/{head}": Network(
                f"discriminators.{domain}.{ours}",
                f"translator.discriminators.{ours}",
                discriminator,
                discriminator_options,
            )
            for domain in "ab"
            for head, ours in (("local", "local"), ("global", "global_"))
        },
    },
)


def ugatit_tensorflow(path: Path) -> Imported:
    """Convert a checkpoint of the official TensorFlow U-GAT-IT, with the state of its optimizers.

    Args:
        path: `UGATIT.model-<counter>.index` or the same without `.index`, the folder that holds it, of which the
            highest counter is taken, or a safetensors file of variables by their official names. TensorFlow is not
            needed; a full model of 8 GB is mapped, not loaded.

    Returns:
        The recipe `ugatit_tf` with the sizes of the weights, and the GAN type, weights and smoothing that the folder's
        name tells. A light generator has no image size.

    Raises:
        CheckpointError: a file is missing, damaged, compressed or partitioned, or is of another network.
    """
    file = newest(path, r".*model-\d+\.index") if path.is_dir() else path
    prefix = file.with_name(re.sub(r"\.(index|data-\d+-of-\d+)$", "", file.name))
    is_bundle = file.suffix != ".safetensors"
    variables = read_bundle(prefix) if is_bundle else cast("dict[str, Tensor]", load_weight_file(file))
    report = Report()
    weights = {name: value for name, value in variables.items() if name.rpartition("/")[2] not in MOMENTS}
    states = networks(weights)
    if not states:
        raise CheckpointError(
            f"{file}: expected variables such as generator_B/conv/conv2d/kernel, got {few(variables)}"
        )
    known = re.compile(r"beta[12]_power(_1)?|(generator|discriminator)_[AB]/.*")
    report.ignored = [name for name in weights if not known.fullmatch(name)]
    named = FOLDER.fullmatch(file.parent.name)
    if named is None:
        report.lines.append("options that shapes do not show, such as the GAN type, are those of the recipe")
    completed = max(0, step_of(prefix.with_suffix(prefix.suffix + ".index")) - 1)
    imported = UGATIT_TF.read(
        file,
        states,
        report,
        lambda settings, ours: {**image_size(settings, ours["generator_A"]), **options_of(named)},
        step=completed,
    )
    state = optimizer_state(variables, completed)
    if not state:
        return imported
    notes = (*imported.notes[:-1], f"took Adam's moments of {len(state)} parameters")
    return imported._replace(optimizer_state=state, notes=notes)


def networks(variables: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return variables by network and by name, in torch's names and axes.

    Kernels (height, width, in, out) become weights [out, in, height, width], and u (1, out) becomes [out]. The rows of
    the full generator's first linear layer are numbered (height, width, channel); they become (channel, height, width).

    Args:
        variables: by official name, such as `generator_B/conv/conv2d/kernel`.
    """
    states: dict[str, dict[str, Tensor]] = {}
    for name, value in variables.items():
        match = re.fullmatch(r"(generator_[AB]|discriminator_[AB]/(?:local|global))/(.+)/(\w+)", name)
        if match is None:
            continue
        network, layer, part = match.groups()
        layer = re.sub(r"/(conv2d|dense)$", "", layer).replace("/", ".")
        state = states.setdefault(network, {})
        if part == "kernel" and value.ndim in (2, 4):
            weight = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.t()
            if layer == "MLP.linear_0" and value.ndim == 2 and len(value) % max(1, len(weight)) == 0:
                weight = weight.view(len(weight), -1, len(weight)).transpose(1, 2).flatten(1)
            normalized = f"{name.removesuffix('kernel')}u" in variables
            state[f"{layer}.weight_orig" if normalized else f"{layer}.weight"] = weight
        elif part == "u":
            kernel = variables.get(f"{name.removesuffix('u')}kernel")
            state[f"{layer}.weight_u"] = value.flatten()
            if kernel is not None and kernel.ndim in (2, 4) and kernel.shape[-1] == value.numel():
                # The right vector is not stored; it follows from the left one, and is replaced in the next phase.
                right = (kernel.flatten(0, -2) @ value.flatten()).view(kernel.shape[:-1])
                state[f"{layer}.weight_v"] = F.normalize(
                    (right.permute(2, 0, 1) if right.ndim == 3 else right).flatten(), dim=0, eps=1e-12
                )
        else:
            state[f"{layer}.{part}"] = value
    return states


def options_of(named: re.Match[str] | None) -> dict[str, Any]:
    """Return the recipe's settings that the folder's name tells."""
    if named is None:
        return {}
    gan = named["gan"]
    settings: dict[str, Any] = {
        "losses.gan.type": GANS.get(gan, "bce_gan"),
        "translator.critic_steps": int(named["critic"]),
        "translator.generator.decoder_norm.smoothing": 0.1 if named["smoothing"] else 0.0,
        **{f"losses.{ours}.weight": float(named[name]) for ours, name in LOSSES.items()},
    }
    if gan == "dragan":
        penalty = {"type": "dragan", "centered": False, "interpolate": True, "weight": float(named["adv"])}
        settings |= {f"losses.penalty.{name}": value for name, value in penalty.items()}
    return settings


LOSSES = {"gan": "adv", "cycle": "cycle", "identity": "identity", "cam": "cam"}


def optimizer_state(variables: Mapping[str, Tensor], completed: int) -> dict[str, dict[str, Tensor]]:
    """Return Adam's state by the translator's parameter names, as torch.optim.Adam keeps it.

    Args:
        variables: all of the checkpoint.
        completed: number of completed iterations, for runs that are so long that the stored power of beta2 is 0.
    """
    state: dict[str, dict[str, Tensor]] = {}
    for moment, ours in MOMENTS.items():
        suffix = f"/{moment}"
        found = {name.removesuffix(suffix): value for name, value in variables.items() if name.endswith(suffix)}
        for name, value in UGATIT_TF.convert(networks(found)).items():
            state.setdefault(name, {})[ours] = value
    for name, entries in state.items():
        # The generators' optimizer was made first. After t updates its power is beta2^(t + 1).
        power = variables.get("beta2_power" if name.startswith("generators.") else "beta2_power_1")
        updates = completed
        if power is not None and 0 < float(power) < 1:
            updates = round(math.log(float(power)) / math.log(BETA2)) - 1
        entries["step"] = next(iter(entries.values())).new_full((), float(updates))
    return state
