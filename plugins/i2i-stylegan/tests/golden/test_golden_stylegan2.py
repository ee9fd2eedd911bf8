"""StyleGAN2 against figures of the official code: resampling, layers, networks, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from i2i_stylegan import importers, resampling
from i2i_stylegan.layers import SynthesisLayer, ToRGB, modulated_conv
from i2i_stylegan.mapping import Mapping
from i2i_stylegan.stylegan2 import StyleGAN2Generator
from i2i_stylegan.stylegan2_discriminator import StyleGAN2Discriminator
from official_figures import Figures, relative_error
from stylegan_parity import TOLERANCE, check_component, compare, leaves, load

from i2i.nn.layers.stylegan2 import MinibatchDeviation

pytestmark = pytest.mark.golden
Golden = Callable[[str], Figures]


def options_of_mapping(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Official options of the mapping network inside a generator or discriminator in ours."""
    return {importers.MAPPING.get(name, name): value for name, value in kwargs.get("mapping_kwargs", {}).items()}


def generator_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Official options in ours."""
    return {
        "out_channels": kwargs["img_channels"],
        "image_size": kwargs["img_resolution"],
        "num_classes": kwargs["c_dim"],
        "z_dim": kwargs["z_dim"],
        "w_dim": kwargs["w_dim"],
        **options_of_mapping(kwargs),
        **kwargs.get("synthesis_kwargs", {}),
    }


def mapping_options(options: dict[str, Any]) -> dict[str, Any]:
    """Official options of a mapping network in ours."""
    return {{"lr_multiplier": "rate"}.get(name, name): value for name, value in options.items()}


def layer_options(options: dict[str, Any]) -> dict[str, Any]:
    """Official options of a layer in ours."""
    names = {"conv_clamp": "clamp", "resample_filter": "taps"}
    return {names.get(name, name): value for name, value in options.items()}


def discriminator_options(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Official options in ours."""
    kwargs = dict(kwargs)
    options = {
        "in_channels": kwargs.pop("img_channels"),
        "image_size": kwargs.pop("img_resolution"),
        "num_classes": kwargs.pop("c_dim"),
        **options_of_mapping(kwargs),
        **kwargs.pop("epilogue_kwargs", {}),
        **kwargs.pop("block_kwargs", {}),
    }
    kwargs.pop("mapping_kwargs", None)
    options.pop("freeze_layers", None)  # changes what is trained alone
    return options | kwargs


def test_resampling(golden: Golden) -> None:
    figures = golden("stylegan2/upfirdn2d")
    for name, taps in figures.config["filters"].items():
        assert relative_error(resampling.make_filter(taps), figures[f"filter/{name}"]) < 1e-6
    for case, options in figures.config["cases"].items():
        name, operation = case.split("/")
        x = figures.tensor("input").double().requires_grad_()
        kernel = figures.tensor(f"filter/{name}").double()
        padding = tuple(options.get("padding", (0, 0, 0, 0)))
        flip = options.get("flip_filter", False)
        if operation.startswith("filter"):
            around = resampling.resize_padding(kernel)
            added = [own + more for own, more in zip(around, padding, strict=True)]
            y = resampling.upfirdn(x, kernel, padding=tuple(added), flip=flip)  # type: ignore[arg-type]
            if not any(padding) and not flip:
                assert torch.equal(y, resampling.smooth(x, kernel))
        else:
            resize = resampling.upsample if operation.startswith("up") else resampling.downsample
            y = resize(x, kernel, padding, flip)
        assert relative_error(y, figures[f"{case}/out64"]) <= TOLERANCE, case
        y.square().sum().backward()
        assert relative_error(x.grad, figures[f"{case}/grad64_of_sum_of_squares"]) <= TOLERANCE, case


def test_modulated_convolution(golden: Golden) -> None:
    figures = golden("stylegan2/modconv")
    for case, options in figures.config["cases"].items():
        options = {name: value for name, value in options.items() if name != "flip_weight"}
        weight = figures.tensor(f"weight/{case.split('_')[0]}").double().requires_grad_()
        x, styles = (figures.tensor(name).double().requires_grad_() for name in ("input", "styles"))
        noise = figures.tensor(f"{case}/noise").double() if f"{case}/noise" in figures else None
        y = modulated_conv(x, weight, styles, noise, figures.tensor("filter").double(), **options)
        assert relative_error(y, figures[f"{case}/out64"]) <= TOLERANCE, case
        (y * figures.tensor(f"{case}/cot").double()).sum().backward()
        compare({"input": x.grad, "weight": weight.grad, "styles": styles.grad}, figures, f"{case}/grad64/")


@pytest.mark.parametrize("name", ["mapping", "mapping_cond"])
def test_mapping(golden: Golden, name: str) -> None:
    figures = golden(f"stylegan2/{name}")
    mapping = Mapping(**mapping_options(figures.config["kwargs"] | {"w_avg_beta": figures.config["w_avg_beta"]}))
    load(mapping, figures.tensors("param/"))
    mapping.double().eval()
    inputs = leaves(figures, "z", "c")
    cases = {}
    for case in figures.part("out64/"):
        psi, _, cutoff = case.removeprefix("psi").partition("_cutoff")
        cases[case] = lambda psi=psi, cutoff=cutoff: mapping(
            inputs["z"], inputs["c"], float(psi), int(cutoff) if cutoff else None
        )
    used = {name: value for name, value in inputs.items() if value.numel()}
    check_component(mapping, figures, used, cases)
    mapping.train()(inputs["z"], inputs["c"])
    assert relative_error(mapping.w_avg, figures["w_avg_after_train_forward64"]) <= TOLERANCE


@pytest.mark.parametrize("name", ["layer_conv", "layer_conv_up", "layer_conv_clamp", "layer_torgb"])
def test_layers(golden: Golden, name: str) -> None:
    figures = golden(f"stylegan2/{name}")
    inputs, outputs = figures.config["args"]
    options = layer_options(figures.config["kwargs"])
    layer = {"SynthesisLayer": SynthesisLayer, "ToRGBLayer": ToRGB}[figures.config["cls"]](inputs, outputs, **options)
    load(layer, figures.tensors("param/"))
    layer.double()
    given = leaves(figures, "x", "w")
    noise = (figures.config["noise_mode"],) if isinstance(layer, SynthesisLayer) else ()
    check_component(layer, figures, given, {"": lambda: layer(given["x"], given["w"], *noise)})


@torch.no_grad()
def restore_average(generator: StyleGAN2Generator, z: torch.Tensor, c: torch.Tensor, figures: Figures) -> None:
    """Find the digits of the average w that the figures' file lost.

    The official run kept the average in float64, and the file rounds it to float32, which truncation sees. The digits
    follow from the truncated images by least squares; each is checked to be less than half a unit of float32.
    """
    (case,) = (case for case in figures.part("out64/") if case.startswith("psi"))
    psi, average = float(case.removeprefix("psi")), generator.mapping.w_avg
    kept = average.clone()

    def images(change: torch.Tensor) -> torch.Tensor:
        average.copy_(kept + change)
        return generator(z, c, psi, noise="const").flatten()

    steps = 1e-4 * torch.eye(len(kept), dtype=torch.float64)
    slopes = torch.stack([(images(step) - images(-step)) / 2e-4 for step in steps], 1)
    missing = figures.tensor(f"out64/{case}").flatten() - images(torch.zeros_like(kept))
    lost = torch.linalg.lstsq(slopes, missing[:, None]).solution[:, 0]
    assert (lost.abs() <= 6e-8 * kept.abs()).all()
    average.copy_(kept + lost)


@pytest.mark.parametrize("name", ["gen", "gen_cond", "gen_resnet_arch", "gen_orig_arch"])
def test_generator(golden: Golden, name: str) -> None:
    figures = golden(f"stylegan2/{name}")
    generator = StyleGAN2Generator(**generator_options(figures.config["kwargs"]))
    load(generator, figures.tensors("param/"))
    generator.double().eval()
    inputs = leaves(figures, "z", "c")
    z, c = inputs["z"], inputs["c"]
    restore_average(generator, z, c, figures)
    ws = generator.mapping(z, c)
    cases = {
        "ws": lambda: ws,
        "const": lambda: generator.synthesis(ws, "const"),
        "none": lambda: generator.synthesis(ws, "none"),
    }

    def mixed(first: int) -> torch.Tensor:
        return generator.synthesis(torch.cat([ws[0:1, :first], ws[1:2, first:]], 1), "const")

    for case in figures.part("out64/"):
        if case.startswith("psi"):
            psi = float(case.removeprefix("psi"))
            cases[case] = lambda psi=psi: generator(z, c, psi, noise="const")
        elif case.startswith("mix"):
            first = int(case.removeprefix("mix"))
            cases[case] = lambda first=first: mixed(first)
    used = {name: value for name, value in inputs.items() if value.numel()}
    check_component(generator, figures, used, cases)


@pytest.mark.parametrize("name", ["dis", "dis_cond", "dis_skip_arch", "dis_orig_arch"])
def test_discriminator(golden: Golden, name: str) -> None:
    figures = golden(f"stylegan2/{name}")
    discriminator = StyleGAN2Discriminator(**discriminator_options(figures.config["kwargs"]))
    load(discriminator, figures.tensors("param/"))
    discriminator.double()
    inputs = leaves(figures, "img", "c")
    used = {name: value for name, value in inputs.items() if value.numel()}

    def logits() -> torch.Tensor:
        return discriminator(inputs["img"], inputs["c"]).logits["image"]

    check_component(discriminator, figures, used, {"": logits})
    (gradient,) = torch.autograd.grad(logits().sum(), inputs["img"], create_graph=True)
    penalty = gradient.square().sum((1, 2, 3))
    assert relative_error(penalty, figures["r1/penalty64"]) <= TOLERANCE
    if figures.part("r1/grad64_of_mean/"):
        discriminator.zero_grad()
        penalty.mean().backward()
        gradients = {name: value.grad for name, value in discriminator.named_parameters()}
        compare(gradients, figures, "r1/grad64_of_mean/")


def test_minibatch_deviation(golden: Golden) -> None:
    figures = golden("stylegan2/mbstd")
    for case, options in figures.config["cases"].items():
        layer = MinibatchDeviation(options["group_size"], options["num_channels"])
        x = figures.tensor(f"{case}/input").double().requires_grad_()
        y = layer(x)
        assert relative_error(y, figures[f"{case}/out64"]) <= TOLERANCE, case
        (y * figures.tensor(f"{case}/cot").double()).sum().backward()
        assert relative_error(x.grad, figures[f"{case}/grad64"]) <= TOLERANCE, case
