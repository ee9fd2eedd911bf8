"""DatasetGAN's pixel classifiers and EditGAN's optimization against figures of the official code."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from i2i_edit.mask_editing import EditWeights, MaskEdit, edited_region, optimize_edit
from i2i_edit.pixel_classifier import (
    PixelClassifier,
    PixelEnsemble,
    disagreement,
    image_uncertainty,
    read_official,
    vote,
)
from i2i_edit.pixel_features import Rendered, features_at, upsampled
from official_figures import Figures, relative_error
from plugin_fixtures import official_folder
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1e-10
Golden = Callable[[str], Figures]


def double(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.double() if value.is_floating_point() else value for name, value in tensors.items()}


def test_classifiers(golden: Golden) -> None:
    names = [path.stem for path in official_folder("datasetgan").glob("pixel_classifier_*.safetensors")]
    assert names
    for name in names:
        check_classifier(golden(f"datasetgan/{name}"))


def check_classifier(figures: Figures) -> None:
    network = PixelClassifier(figures.config["dim"], figures.config["classes"]).double()
    network.load_state_dict(double(figures.tensors("param/")))
    network.eval()
    x = figures.tensor("input/x").double().requires_grad_()
    out = network(x)
    assert relative_error(out, figures["out64"]) <= TOLERANCE
    (out * figures.tensor("cot").double()).sum().backward()
    assert relative_error(x.grad, figures["grad64/input/x"]) <= TOLERANCE
    for key, parameter in network.named_parameters():
        assert relative_error(parameter.grad, figures[f"grad64/param/{key}"]) <= TOLERANCE, key
    # One step of training: batch norm uses the batch and moves its averages.
    network.zero_grad()
    network.train()
    loss = F.cross_entropy(network(figures.tensor("input/x").double()), figures.tensor("train/labels"))
    assert relative_error(loss, figures["train/ce64"]) <= TOLERANCE
    loss.backward()
    buffers = dict(network.named_buffers())
    for key, expected in figures.part("train/buffers_after64/").items():
        if key.endswith("num_batches_tracked"):  # unused; the set saved it after this step
            continue
        assert relative_error(buffers[key].double(), expected) <= TOLERANCE, key
    for key, parameter in network.named_parameters():
        assert relative_error(parameter.grad, figures[f"train/grad64/{key}"]) <= TOLERANCE, key


def test_ensemble(golden: Golden) -> None:
    figures = golden("datasetgan/ensemble")
    by_member = figures.tensors("logits/")
    logits = torch.stack([by_member[str(index)] for index in range(len(by_member))]).double()
    assert torch.equal(vote(logits), figures.tensor("vote").flatten())
    assert torch.equal(logits.mean(0).argmax(1), figures.tensor("editgan_argmax_of_mean_logits").flatten())
    assert relative_error(logits.softmax(2).mean(0), figures["mean_probability64"]) <= TOLERANCE
    assert relative_error(disagreement(logits), figures["js64"]) <= TOLERANCE
    score = image_uncertainty(disagreement(logits))
    assert relative_error(torch.tensor(score, dtype=torch.float64), figures["score64"]) <= TOLERANCE


def test_features(golden: Golden) -> None:
    figures = golden("datasetgan/features")
    by_number = figures.tensors("feature/")
    features = [by_number[str(index)].double() for index in range(len(by_number))]
    expected = figures.tensor("bilinear64")
    size = (expected.shape[2], expected.shape[3])
    pixels = torch.arange(size[0] * size[1])
    assert relative_error(upsampled(features, size), figures["bilinear64"]) <= TOLERANCE
    assert relative_error(upsampled(features, size, "nearest"), figures["nearest64"]) <= TOLERANCE
    assert relative_error(features_at(features, size, pixels), figures["pixels64"]) <= TOLERANCE
    nearest = features_at(features, size, pixels, "nearest").t().reshape(expected.shape)
    assert relative_error(nearest, figures["nearest64"]) <= TOLERANCE


def test_official_files(golden: Golden) -> None:
    golden("datasetgan/ensemble")
    folder = official_folder("datasetgan")
    if not list(folder.glob("*.pth")):
        pytest.skip("this set of figures has no official files")
    ensemble = read_official(folder)
    assert len(ensemble.members) == len(list(folder.glob("*.pth")))
    assert ensemble(torch.zeros(3, ensemble.in_features)).shape == (len(ensemble.members), 3, ensemble.num_classes)


def toy(figures: Figures) -> tuple[MaskEdit, Tensor]:
    """The official loop's toy generator: features are a linear map of w, and the image is their mixture."""
    a, b, e = (figures.tensor(name).double() for name in "ABE")
    target = figures.tensor("target_mask")
    height, width = target.shape
    channels = b.shape[0]
    start = figures.tensor("w0").double()

    def render(ws: Tensor) -> Rendered:
        f = torch.tanh(ws.flatten(1) @ a).view(1, channels, height // 2, width // 2)
        up = F.interpolate(f, (height, width), mode="bilinear", align_corners=False)
        image = torch.tanh(torch.einsum("bchw,cd->bdhw", up, b))
        return Rendered(image, [F.interpolate(f, (height, width), mode="nearest"), up.square()])

    states = {
        index: figures.tensors(f"classifier/{index}/") for index in range(100) if figures.part(f"classifier/{index}/")
    }
    classes = len(states[0]["layers.6.bias"])
    ensemble = PixelEnsemble(states[0]["layers.0.weight"].shape[1], classes, len(states)).double().eval()
    for index, state in states.items():
        ensemble.members[index].load_state_dict(double(state))
    kernel = figures.tensor("percept_weight").double()

    def perceptual(x: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(F.conv2d(x, kernel, padding=1), F.conv2d(y, kernel, padding=1))

    (dilations,) = re.findall(r"(\d+) iterations", figures.config["dilation"])
    region = edited_region(figures.tensor("roi") > 0, int(dilations))
    assert torch.equal(region, figures.tensor("dilated_roi") > 0)
    original = (render(start).image + 1) / 2
    official = {name: math.prod(map(float, str(value).split("*"))) for name, value in figures.config["weights"].items()}
    weights = EditWeights(*(official[name] for name in ("rgb", "p", "mse", "encoder", "ce")))

    def encoder(image: Tensor) -> Tensor:
        return (image.flatten(1) @ e).view(start.shape)

    return MaskEdit(render, ensemble, perceptual, original, target, region, encoder, weights), start


def test_mask_edit(golden: Golden) -> None:
    figures = golden("editgan/mask_edit")
    edit, start = toy(figures)
    names = {"perceptual": "p64", "mse": "mse64", "encoder": "encoder64", "classes": "ce64", "total": "total64"}
    steps = figures.config["updates"]
    for step in range(steps):
        ws = figures.tensor(f"step{step}/w64").clone().requires_grad_()
        losses = edit.losses(ws)
        for ours, theirs in names.items():
            assert relative_error(getattr(losses, ours), figures[f"step{step}/{theirs}"]) <= TOLERANCE, (step, ours)
        losses.total.backward()
        assert relative_error(ws.grad, figures[f"step{step}/grad64"]) <= TOLERANCE, step
    result = optimize_edit(edit, start, figures.config["steps_setting"], figures.config["lr"])
    assert relative_error(result[0], figures["w_result64"]) <= TOLERANCE
