"""Official checkpoints of StyleGAN2: NVlabs pickles, and the files of rosinality, which are written too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.core.contracts import Imported
from i2i.errors import CheckpointError
from i2i.nn.weight_files import few, is_state, load_weight_file
from i2i_stylegan.layers import FILTER
from i2i_stylegan.mapping import Mapping as MappingNetwork
from i2i_stylegan.pickles import Record, load_pickle
from i2i_stylegan.resampling import make_filter

State = Mapping[str, Tensor]
Options = dict[str, Any]
GENERATOR, DISCRIMINATOR = "generator.", "discriminators.image."
AVERAGED_CODES = 4096
"""Latent codes whose styles are averaged where a file has no average, as many as in rosinality's scripts."""
SYNTHESIS = {
    "channel_base",
    "channel_max",
    "num_fp16_res",
    "conv_clamp",
    "architecture",
    "resample_filter",
    "use_noise",
}
MAPPING = {
    "num_layers": "mapping_layers",
    "layer_features": "mapping_features",
    "lr_multiplier": "mapping_rate",
    "embed_features": "embed_features",
}
"""Our options of mapping networks by NVlabs' names."""
IGNORED = {"fused_modconv_default", "channels_last", "freeze_layers", "activation", "block_kwargs"}


def nvlabs(path: Path) -> Imported:
    """Convert a network pickle of NVlabs' StyleGAN2-ADA in PyTorch, such as `network-snapshot-000123.pkl`.

    Args:
        path: the file. No code in it is run.

    Returns:
        The recipe `stylegan2` with the sizes of the networks, and the averaged generator.

    Raises:
        CheckpointError: the file is something else, such as a pickle of StyleGAN3, is damaged, or unsafe.
    """
    content = load_pickle(path)
    record = content["G_ema"]
    weights = record.tensors()
    if "synthesis.b4.const" not in weights:
        kind = "of StyleGAN3" if any(name.startswith("synthesis.L0") for name in weights) else "of an unknown kind"
        raise CheckpointError(f"{path}: expected a generator of StyleGAN2, found one {kind}")
    generator = _nvlabs_options(path, record, "generator")
    settings = {f"translator.generator.{key}": value for key, value in generator.items()}
    size = record.options().get("img_resolution")
    state = _prefixed(GENERATOR, weights)
    untrained: tuple[str, ...] = ("discriminators",)
    discriminator = content.get("D")
    if isinstance(discriminator, Record):
        options = _nvlabs_options(path, discriminator, "discriminator")
        settings |= {f"translator.discriminators.image.{key}": value for key, value in options.items()}
        state |= _prefixed(DISCRIMINATOR, discriminator.tensors())
        untrained = ()
    return _imported(path, settings, state, size, record.options().get("c_dim", 0), untrained, [])


def rosinality(path: Path) -> Imported:
    """Convert a checkpoint of rosinality/stylegan2-pytorch, such as `000123.pt` or a converted `stylegan2-ffhq.pt`.

    Args:
        path: the file. No code in it is run.

    Returns:
        The recipe `stylegan2` with the sizes of the networks, and the averaged generator.

    Raises:
        CheckpointError: the file is something else, is damaged, or holds sizes that no recipe can express.
    """
    content = load_weight_file(path)
    if not isinstance(content, dict) or not is_state(content.get("g_ema")):
        found = few(content) if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path}: expected a file with the generator g_ema, found {found}")
    official: State = content["g_ema"]
    notes = ["took g_ema; the generator without averaging, if any, is ignored"] if "g" in content else []
    try:
        side = 2 ** (sum(re.fullmatch(r"to_rgbs\.\d+\.bias", name) is not None for name in official) + 2)
        ours = {names[0]: _taken(official, *names) for names in generator_names(side, mapping_layers(official))}
        average = content.get("latent_avg")
        if isinstance(average, Tensor):
            ours["mapping.w_avg"] = average.reshape(-1)
        else:
            ours["mapping.w_avg"] = average_style(ours)
            notes.append(f"the average style is not in the file; it is that of {AVERAGED_CODES} latent codes")
        _check_rest(path, "g_ema", official, dict(generator_names(side, mapping_layers(official))))
        settings = _rosinality_generator(ours, side)
        state = _prefixed(GENERATOR, ours)
        untrained: tuple[str, ...] = ("discriminators",)
        if is_state(content.get("d")):
            theirs: State = content["d"]
            critics = {names[0]: _taken(theirs, *names) for names in discriminator_names(side)}
            _check_rest(path, "d", theirs, dict(discriminator_names(side)))
            settings |= _rosinality_discriminator(critics, side)
            state |= _prefixed(DISCRIMINATOR, critics)
            untrained = ()
    except KeyError as error:
        raise CheckpointError(f"{path}: a generator or discriminator lacks {error.args[0]}") from error
    return _imported(path, settings, state, side, 0, untrained, notes)


def to_rosinality(weights: State, side: int) -> dict[str, Any]:
    """Return a translator's weights in the layout of rosinality/stylegan2-pytorch: `g_ema`, `d` and `latent_avg`.

    Args:
        weights: state dict of the translator.
        side: height and width of the images in pixels.

    Raises:
        CheckpointError: the networks are not of the architecture that the layout knows.
    """
    generator = {name.removeprefix(GENERATOR): v for name, v in weights.items() if name.startswith(GENERATOR)}
    critics = {name.removeprefix(DISCRIMINATOR): v for name, v in weights.items() if name.startswith(DISCRIMINATOR)}
    layers = sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in generator)
    parts = {"g_ema": (generator, dict(generator_names(side, layers)), generator_constants(side))}
    if critics:
        parts["d"] = (critics, dict(discriminator_names(side)), discriminator_constants(side))
    result: dict[str, Any] = {}
    for name, (state, names, constants) in parts.items():
        if state.keys() - {"mapping.w_avg"} != names.keys():
            differing = few(set(names) ^ (state.keys() - {"mapping.w_avg"}))
            raise CheckpointError(f"{name}: expected skip and resnet networks without classes; differing: {differing}")
        result[name] = {theirs: _reshaped(theirs, state[ours]) for ours, theirs in names.items()} | constants
    return result | {"latent_avg": generator["mapping.w_avg"].clone()}


def check_rosinality(generator: Any) -> None:
    """Refuse a generator whose weights give other images with the options that rosinality's code has fixed.

    Raises:
        CheckpointError: another resampling filter, or another learning rate of the mapping network.
    """
    if not torch.equal(generator.synthesis.blocks[-1].resample_filter.cpu(), make_filter(FILTER)):
        raise CheckpointError("resample_filter: rosinality's layout has [1, 3, 3, 1] only")
    if generator.mapping.fc0.rate != 0.01:
        raise CheckpointError(f"mapping_rate: rosinality's layout has 0.01 only, got {generator.mapping.fc0.rate:g}")


def mapping_layers(official: State) -> int:
    """Return the number of layers of the mapping network."""
    return sum(re.fullmatch(r"style\.\d+\.weight", name) is not None for name in official)


def generator_names(side: int, layers: int) -> Iterator[tuple[str, str]]:
    """Yield our name of each tensor of the generator with rosinality's."""

    def layer(ours: str, theirs: str, noise: int | None) -> Iterator[tuple[str, str]]:
        yield f"{ours}.weight", f"{theirs}.conv.weight"
        yield f"{ours}.affine.weight", f"{theirs}.conv.modulation.weight"
        yield f"{ours}.affine.bias", f"{theirs}.conv.modulation.bias"
        yield f"{ours}.bias", f"{theirs}.bias" if noise is None else f"{theirs}.activate.bias"
        if noise is not None:
            yield f"{ours}.noise_strength", f"{theirs}.noise.weight"
            yield f"{ours}.noise_const", f"noises.noise_{noise}"

    for index in range(layers):
        for part in ("weight", "bias"):
            yield f"mapping.fc{index}.{part}", f"style.{index + 1}.{part}"
    yield "synthesis.b4.const", "input.input"
    yield from layer("synthesis.b4.conv1", "conv1", 0)
    yield from layer("synthesis.b4.torgb", "to_rgb1", None)
    for index in range(side.bit_length() - 3):
        block = f"synthesis.b{8 << index}"
        yield from layer(f"{block}.conv0", f"convs.{2 * index}", 2 * index + 1)
        yield from layer(f"{block}.conv1", f"convs.{2 * index + 1}", 2 * index + 2)
        yield from layer(f"{block}.torgb", f"to_rgbs.{index}", None)


def discriminator_names(side: int) -> Iterator[tuple[str, str]]:
    """Yield our name of each tensor of the discriminator with rosinality's."""
    yield f"b{side}.fromrgb.weight", "convs.0.0.weight"
    yield f"b{side}.fromrgb.bias", "convs.0.1.bias"
    for index in range(side.bit_length() - 3):
        block = f"b{side >> index}"
        yield f"{block}.conv0.weight", f"convs.{index + 1}.conv1.0.weight"
        yield f"{block}.conv0.bias", f"convs.{index + 1}.conv1.1.bias"
        yield f"{block}.conv1.weight", f"convs.{index + 1}.conv2.1.weight"
        yield f"{block}.conv1.bias", f"convs.{index + 1}.conv2.2.bias"
        yield f"{block}.skip.weight", f"convs.{index + 1}.skip.1.weight"
    yield "b4.conv.weight", "final_conv.0.weight"
    yield "b4.conv.bias", "final_conv.1.bias"
    for ours, theirs in (("b4.fc", "final_linear.0"), ("b4.out", "final_linear.1")):
        for part in ("weight", "bias"):
            yield f"{ours}.{part}", f"{theirs}.{part}"


def generator_constants(side: int) -> dict[str, Tensor]:
    """Return the filters that rosinality's generator stores."""
    names = [
        name
        for index in range(side.bit_length() - 3)
        for name in (f"convs.{2 * index}.conv.blur.kernel", f"to_rgbs.{index}.upsample.kernel")
    ]
    return {name: 4 * make_filter(FILTER) for name in names}


def discriminator_constants(side: int) -> dict[str, Tensor]:
    """Return the filters that rosinality's discriminator stores."""
    names = [
        f"convs.{index + 1}.{part}.0.kernel" for index in range(side.bit_length() - 3) for part in ("conv2", "skip")
    ]
    return {name: make_filter(FILTER) for name in names}


@torch.no_grad()
def average_style(ours: State) -> Tensor:
    """Return the average style of fixed latent codes for the mapping network of a generator's state dict."""
    layers = {name.removeprefix("mapping."): value for name, value in ours.items() if name.startswith("mapping.fc")}
    z_dim, w_dim = layers["fc0.weight"].shape[1], layers["fc0.weight"].shape[0]
    mapping = MappingNetwork(z_dim, 0, w_dim, None, len(layers) // 2)
    mapping.load_state_dict(layers)
    z = torch.randn(AVERAGED_CODES, z_dim, generator=torch.Generator().manual_seed(0))
    average: Tensor = mapping(z).mean(0)
    return average


def _taken(state: State, ours: str, theirs: str) -> Tensor:
    """Return one of rosinality's tensors in our shape."""
    value = state[theirs]
    if ours.endswith(".noise_const"):
        return value[0, 0]
    if ours.endswith((".noise_strength",)):
        return value.reshape([])
    if ".torgb.bias" in ours:
        return value.flatten()
    return value[0] if theirs == "input.input" or (value.ndim == 5) else value


def _reshaped(theirs: str, value: Tensor) -> Tensor:
    """Return one of our tensors in rosinality's shape; the inverse of `_taken`."""
    if theirs.startswith("noises."):
        return value[None, None].clone()
    if theirs.endswith(".noise.weight"):
        return value.reshape(1).clone()
    if theirs.startswith("to_rgb") and theirs.endswith(".bias") and "modulation" not in theirs:
        return value.view(1, -1, 1, 1).clone()
    if theirs == "input.input" or (theirs.endswith(".conv.weight")):
        return value[None].clone()
    return value.clone()


def _check_rest(path: Path, name: str, official: State, names: Mapping[str, str]) -> None:
    """Refuse a state dict with tensors that no name stands for, but for filters."""
    rest = [one for one in official if one not in names.values() and not one.endswith(".kernel")]
    if rest:
        raise CheckpointError(f"{path}: {name} has unknown {few(rest)}")
    for one in official:
        if one.endswith(".kernel"):
            scale = 4 if name == "g_ema" else 1
            if not torch.allclose(official[one].float(), scale * make_filter(FILTER)):
                raise CheckpointError(f"{path}: {name}.{one} is not the filter [1, 3, 3, 1]")


def _rosinality_generator(ours: State, side: int) -> Options:
    w_dim, z_dim = ours["mapping.fc0.weight"].shape
    widths = {4: ours["synthesis.b4.const"].shape[0]}
    widths |= {2**k: ours[f"synthesis.b{2**k}.conv1.weight"].shape[0] for k in range(3, side.bit_length())}
    options = {
        "z_dim": z_dim,
        "w_dim": w_dim,
        "mapping_layers": sum(name.startswith("mapping.fc") for name in ours) // 2,
        "demodulation": "scaled_weight",
        "out_channels": ours["synthesis.b4.torgb.weight"].shape[0],
        **_any_widths(widths),
    }
    settings = {f"translator.generator.{key}": value for key, value in options.items()}
    return settings | {"translator.generator.num_fp16_res": 0, "translator.generator.conv_clamp": "none"}


def _rosinality_discriminator(ours: State, side: int) -> Options:
    widths = {4: ours["b4.conv.weight"].shape[0]}
    widths |= {2**k: ours[f"b{2**k}.conv0.weight"].shape[0] for k in range(3, side.bit_length())}
    options = {
        "mbstd_group_size": 4,
        "mbstd_num_channels": ours["b4.conv.weight"].shape[1] - widths[4],
        "num_fp16_res": 0,
        "conv_clamp": "none",
        **_any_widths(widths),
    }
    return {f"translator.discriminators.image.{key}": value for key, value in options.items()}


def _widths(name: str, widths: Mapping[int, int]) -> Options:
    """Return the options that give the numbers of channels by resolution.

    Raises:
        CheckpointError: there are none.
    """
    most = max(widths.values())
    base = max(count * resolution for resolution, count in widths.items())  # widths are rounded down
    if any(min(base // resolution, most) != count for resolution, count in widths.items()):
        raise CheckpointError(f"{name}: numbers of channels {dict(widths)} follow from no channel_base and channel_max")
    return {"channel_base": base, "channel_max": most}


def _any_widths(widths: Mapping[int, int]) -> Options:
    """Return the options that give the numbers of channels by resolution: one for each where no rule gives them."""
    try:
        return _widths("", widths)
    except CheckpointError:
        return {"channels": [widths[resolution] for resolution in sorted(widths)]}


def _nvlabs_options(path: Path, record: Record, network: str) -> Options:
    """Return our options for the keyword arguments that a network was built with."""
    given = record.options()
    options: Options = {}
    for name in ("z_dim", "w_dim"):
        if network == "generator":
            options[name] = given.pop(name)
    given.pop("c_dim", None), given.pop("img_resolution", None)  # those of the data
    options["out_channels" if network == "generator" else "in_channels"] = given.pop("img_channels", 3)
    mapping = dict(given.pop("mapping_kwargs", {}))
    names = {name: one for name, one in MAPPING.items() if name in mapping}
    options |= {"mapping_layers": 8} | {one: mapping.pop(name) for name, one in names.items()}
    if network == "generator":
        options["w_avg_beta"] = mapping.pop("w_avg_beta", 0.995)
    epilogue = dict(given.pop("epilogue_kwargs", {}))
    defaults = {"channel_base": 32768, "channel_max": 512, "num_fp16_res": 0, "conv_clamp": None}
    defaults["architecture"] = "skip" if network == "generator" else "resnet"
    if network == "discriminator":
        defaults |= {"mbstd_group_size": 4, "mbstd_num_channels": 1}
    rest = {**given.pop("synthesis_kwargs", {}), **given, **epilogue}
    rest |= dict(rest.pop("block_kwargs", {}))
    known = SYNTHESIS | {"mbstd_group_size", "mbstd_num_channels", "cmap_dim"}
    unknown = [name for name in rest if name not in known | IGNORED]
    unknown += [f"mapping {name}" for name in mapping if name != "activation"]
    activations = {one.get("activation", "lrelu") for one in (rest, mapping, epilogue)}
    if unknown or activations != {"lrelu"}:
        raise CheckpointError(f"{path}: {network}: options that i2i does not know: {few(unknown or ['activation'])}")
    options |= defaults | {name: value for name, value in rest.items() if name in known}
    return {name: "none" if value is None else value for name, value in options.items()}


def _prefixed(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items() if not name.endswith("resample_filter")}


def data_settings(side: int, channels: int, classes: int = 0) -> Options:
    """Return the settings of the data that imported networks were trained on; the names of classes are unknown.

    Args:
        side: height and width of the images in pixels.
        channels: of the images.
        classes: number of classes; 0 without.
    """
    settings: Options = {"data.size": side}
    if channels != 3:
        settings["data.channels"] = channels
    if classes:
        settings |= {"translator.conditional": True, "data.classes": [f"class{index}" for index in range(classes)]}
    return settings


def _imported(
    path: Path,
    settings: Options,
    state: dict[str, Tensor],
    size: Any,
    classes: int,
    untrained: tuple[str, ...],
    notes: list[str],
) -> Imported:
    settings = settings | data_settings(int(size), settings["translator.generator.out_channels"], classes)
    state["losses.path_length.mean"] = torch.zeros([])
    notes = [f"took {len(state) - 1} tensors", *notes, "optimizers start from scratch"]
    summary = f"StyleGAN2, {size} px, {classes} classes; recipe stylegan2"
    return Imported("stylegan2", settings, state, summary, 0, untrained, tuple(notes))
