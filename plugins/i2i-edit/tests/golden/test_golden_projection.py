"""Projection agrees with the official projector, step by step."""

from __future__ import annotations

import re

import torch
from i2i_edit.projection import (
    Options,
    learning_rate,
    noise_correlation,
    normalize_noise,
    optimize,
    style_statistics,
)
from i2i_stylegan.stylegan2 import StyleGAN2Generator
from official_figures import relative_error
from torch.nn import functional as F

TOLERANCE = 1e-10


def test_projection(golden) -> None:
    figures = golden("stylegan2_projector/projection")
    given, hyper = figures.config["G_kwargs"], figures.config["hyper"]
    generator = StyleGAN2Generator(
        given["img_channels"],
        given["img_resolution"],
        given["c_dim"],
        given["z_dim"],
        given["w_dim"],
        given.get("mapping_kwargs", {}).get("num_layers", 8),
        **given.get("synthesis_kwargs", {}),
    )
    weights = {name: value for name, value in figures.tensors("param/").items() if "resample_filter" not in name}
    generator.load_state_dict(weights)
    generator = generator.double().eval().requires_grad_(False)
    statistics = style_statistics(
        lambda z: generator.mapping(z)[:, 0], given["z_dim"], torch.zeros(1).double(), hyper["w_avg_samples"]
    )
    assert relative_error(statistics.mean.view(1, 1, -1), figures["w_avg64"]) <= TOLERANCE
    assert relative_error(torch.tensor(statistics.deviation).double(), figures["w_std64"]) <= 1e-7

    # The toy network stands in words in the file's configuration.
    words = figures.config["feature"]
    stride, padding, slope = (
        float(part) for part in re.search(r"stride (\d+), padding (\d+)\).*slope (\S+)", words).groups()
    )
    weight, target = figures.tensor("feature_weight").double(), figures.tensor("target").double()

    def features(image: torch.Tensor) -> torch.Tensor:
        found = F.conv2d((image + 1) * 127.5, weight, stride=int(stride), padding=int(padding))
        return F.leaky_relu(found, slope).flatten(1)

    wanted = features(target[None] / 127.5 - 1)
    draws = iter(value for _, value in sorted(figures.tensors("draw/").items()))
    options = Options(
        steps=hyper["num_steps"],
        rate=hyper["initial_learning_rate"],
        ramp_down=hyper["lr_rampdown_length"],
        ramp_up=hyper["lr_rampup_length"],
        noise=hyper["initial_noise_factor"],
        noise_ramp=hyper["noise_ramp_length"],
        regularize_noise=hyper["regularize_noise_weight"],
    )
    sides = [layer.resolution for layer in generator.modules() if hasattr(layer, "noise_const")]
    steps = optimize(
        generator.synthesis,
        lambda image: (features(image) - wanted).square().sum(1),
        statistics.mean.view(1, 1, -1),
        generator.num_ws,
        statistics.deviation,
        sides,
        options,
        lambda shape: next(draws).view(shape),
    )
    found = torch.cat([ws for ws, _, _ in steps])
    assert relative_error(found, figures["w_per_step64"]) <= TOLERANCE
    for step, (rate, _) in enumerate(figures.config["schedule_lr_and_wnoise_factor"]):
        assert abs(learning_rate(step / options.steps, options.rate, options.ramp_down, options.ramp_up) - rate) < 1e-12


def test_noise_correlation(golden) -> None:
    figures = golden("stylegan2_projector/projection")
    maps = [value[None, None].double() for value in figures.tensors("noise_reg/input/").values()]
    assert relative_error(noise_correlation(maps), figures["noise_reg/value64"]) <= TOLERANCE


def test_parts_of_the_port_of_rosinality(golden) -> None:
    figures = golden("stylegan2_rosinality/projector_parts")
    maps = {name: value.double() for name, value in figures.tensors("noise/").items()}
    assert relative_error(noise_correlation(list(maps.values())), figures["noise_regularize64"]) <= TOLERANCE
    for name, value in maps.items():
        assert relative_error(normalize_noise(value, unbiased=True), figures[f"normalized64/{name}"]) <= TOLERANCE
    rates = figures.tensor("lr")
    found = [learning_rate(step / len(rates), 0.1) for step in range(len(rates))]
    assert relative_error(torch.tensor(found, dtype=torch.float64), rates) <= TOLERANCE
