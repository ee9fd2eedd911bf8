"""Official training steps through recipe and trainer: losses, gradients and weights in float64; the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from i2i_fomm.importer import fomm_pytorch, our_names
from official_figures import distance, read, relative_error, total
from torch import Tensor, nn

import i2i
from i2i import Recipe, Stepper

VGG19_TAPS = ("features.1", "features.6", "features.11", "features.20", "features.29")
NETWORKS = {"kp_detector": "detector", "generator": "generator", "discriminator": "discriminator"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class NarrowVGG(nn.Module):
    """The stand-in for VGG19 whose weights the figures give: its features at the official taps."""

    source = "fixture"

    def __init__(self, taps: tuple[str, ...], weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.taps = [int(tap.rpartition(".")[2]) for tap in taps]
        self.weights = weights
        self.num_features = (1,) * len(taps)

    def load_weights_(self) -> None: ...

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        mean, std = (torch.tensor(values, dtype=torch.float32).to(image).view(3, 1, 1) for values in (MEAN, STD))
        x, outputs = ((image + 1) / 2 - mean) / std, []
        for index in range(30):
            if f"{index}.weight" in self.weights:
                weight, bias = (self.weights[f"{index}.{name}"].to(x) for name in ("weight", "bias"))
                x = nn.functional.conv2d(x, weight, bias, padding=1)
            elif index in (4, 9, 18, 27):
                x = nn.functional.max_pool2d(x, 2)
            else:
                x = nn.functional.relu(x)
            if index in self.taps:
                outputs.append(x)
        return tuple(outputs)


def settings(config: dict[str, Any], align: bool) -> dict[str, Any]:
    model, train = config["model_params"], config["train_params"]
    detector, generator = model["kp_detector_params"], model["generator_params"]
    motion, weights = generator["dense_motion_params"], train["loss_weights"]
    values = {
        "translator.keypoints": model["common_params"]["num_kp"],
        "translator.align_corners": align,
        "translator.spline_points": train["transform_params"]["points_tps"],
        "translator.sigma_affine": train["transform_params"]["sigma_affine"],
        "translator.sigma_spline": train["transform_params"]["sigma_tps"],
        "translator.detector.channels": detector["block_expansion"],
        "translator.detector.max_channels": detector["max_features"],
        "translator.detector.blocks": detector["num_blocks"],
        "translator.detector.scale": detector["scale_factor"],
        "translator.detector.temperature": detector["temperature"],
        "translator.detector.padding": detector.get("pad", 0),
        "translator.detector.single_jacobian": detector.get("single_jacobian_map", False),
        "translator.generator.align_corners": align,
        "translator.generator.channels": generator["block_expansion"],
        "translator.generator.max_channels": generator["max_features"],
        "translator.generator.down_blocks": generator["num_down_blocks"],
        "translator.generator.blocks": generator["num_bottleneck_blocks"],
        "translator.generator.motion_channels": motion["block_expansion"],
        "translator.generator.motion_max_channels": motion["max_features"],
        "translator.generator.motion_blocks": motion["num_blocks"],
        "translator.generator.motion_scale": motion["scale_factor"],
        "translator.generator.variance": motion.get("kp_variance", 0.01),
        "translator.generator.occlusion": generator.get("estimate_occlusion_map", False),
        "losses.perceptual.features": {"type": "narrow_vgg"},
        "losses.perceptual.taps": list(VGG19_TAPS),
        "losses.perceptual.weight": 1,
        "losses.perceptual.weights": weights["perceptual"],
        "losses.perceptual.scales": train["scales"],
        "losses.equivariance.weight": weights["equivariance_value"],
        "losses.equivariance_jacobian.weight": weights["equivariance_jacobian"],
        "optimizers.generator.lr": train["lr_generator"],
        "optimizers.generator.betas": config["adam"]["betas"],
        "schedule": {"type": "constant"},
        "data": {"type": "sprite_pairs", "size": config["size"]},
        "train.batch_size": config["batch"],
        "train.precision": "fp64",
        "train.steps": 100,
    }
    if weights["generator_gan"]:
        discriminator = model["discriminator_params"]
        values |= {
            "translator.discriminator.channels": discriminator["block_expansion"],
            "translator.discriminator.max_channels": discriminator["max_features"],
            "translator.discriminator.blocks": discriminator["num_blocks"],
            "translator.discriminator.scales": discriminator["scales"],
            "translator.discriminator.sees_keypoints": discriminator.get("use_kp", False),
            "translator.discriminator.spectral_norm": discriminator.get("sn", False),
            "losses.gan.weight": {"generator": weights["generator_gan"], "discriminator": weights["discriminator_gan"]},
            "losses.feature_matching.weight": 1,
            "losses.feature_matching.weights": weights["feature_matching"][: discriminator["num_blocks"]],
            "optimizers.discriminator.lr": train["lr_discriminator"],
            "optimizers.discriminator.betas": config["adam"]["betas"],
        }
    return values


OFFICIAL_TERMS = {
    "perceptual": "generator/perceptual",
    "gen_gan": "generator/gan",
    "feature_matching": "generator/feature_matching",
    "equivariance_value": "generator/equivariance",
    "equivariance_jacobian": "generator/equivariance_jacobian",
    "disc_gan": "discriminator/gan",
}


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("tag", ["traj_adv", "traj_rec"])
def test_steps_gradients_and_weights(golden: Path, tag: str, align: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = json.loads((golden / f"{tag}_losses.json").read_text())
    config = figures["config"]
    initial, batches = read(golden, f"{tag}_init"), read(golden, f"{tag}_batches")
    vgg = initial.tensors("vgg/")
    registry = i2i.core.plugins.default_plugins().registry
    registry.add(i2i.FEATURE_EXTRACTOR, "narrow_vgg", lambda taps: NarrowVGG(taps, vgg))
    recipe = Recipe.read("fomm_vox_adv" if tag == "traj_adv" else "fomm_vox", settings(config, align))
    stepper = Stepper(recipe)
    translator: Any = stepper.translator
    names: dict[str, str] = {}
    state = translator.state_dict()
    for official, ours in NETWORKS.items():
        tensors = initial.tensors(f"{official}/")
        for key in tensors:
            if hasattr(translator, ours):
                (renamed,) = our_names({key: tensors[key]})
                names[f"{official}/{key}"] = f"{ours}.{renamed}"
                state[f"{ours}.{renamed}"] = tensors[key]
    translator.load_state_dict(state)
    gradients: dict[str, Tensor] = {}
    parameters = {id(parameter): name for name, parameter in translator.named_parameters()}

    def keep(optimizer: Any, *_: Any) -> None:
        for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
            value = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients.setdefault(parameters[id(parameter)], value.detach().clone())

    for optimizer in stepper.optimizers.values():
        getattr(optimizer, "optimizer", optimizer).register_step_pre_hook(keep)
    losses = figures["losses_f64_align_corners_true" if align else "losses_f64"]
    for number, expected in enumerate(losses):
        theta = batches.tensor(f"transform/{number}/theta").double()
        control = batches.tensor(f"transform/{number}/control_params").double()
        affine = (theta - torch.eye(2, 3, dtype=torch.float64)) / translator.sigma_affine
        drawn = torch.cat([affine.flatten(1), control.flatten(1) / translator.sigma_spline], 1)
        monkeypatch.setattr(translator, "randn", lambda name, shape, seed, drawn=drawn: drawn)
        terms = stepper.step(
            {name: 2 * batches.tensor(f"{name}/{number}").double() - 1 for name in ("source", "driving")}
        )
        for name, value in expected.items():
            if value:
                assert float(terms[OFFICIAL_TERMS[name]]) == pytest.approx(value, rel=1e-10), (number, name)
    if align:
        return  # Only losses were kept of this convention.
    zero = set(figures["zero_gradient_tensors"])
    for name, value in read(golden, f"{tag}_step0").part("grad/").items():
        if name in names and name not in zero:
            assert relative_error(gradients[names[name]], value) <= 1e-10, name
    final, weights = read(golden, f"{tag}_final_f64"), translator.state_dict()
    moved, wrong = [], []
    for official, ours in names.items():
        if official in final and official not in zero and not official.endswith("num_batches_tracked"):
            moved.append(distance(initial.tensor(official).double(), final[official]))
            wrong.append(distance(weights[ours], final[official]))
    assert total(wrong) <= 1e-9 * total(moved)


def test_a_checkpoint_is_imported(golden: Path) -> None:
    (path,) = golden.glob("traj_adv_checkpoint/*.pth.tar")
    imported = fomm_pytorch(path)
    translator = Stepper(Recipe.read(imported.recipe, {**imported.settings, "train.steps": 2})).translator
    assert not imported.untrained
    translator.load_state_dict(imported.weights)
    size = json.loads((golden / "traj_adv_losses.json").read_text())["config"]["size"]
    image = torch.rand(2, 3, size, size) * 2 - 1
    with torch.no_grad():
        assert torch.isfinite(translator.eval().translate(image, "driving", driving=image).image).all()
