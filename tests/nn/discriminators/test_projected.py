"""The projected discriminator against the official code, and as a component."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2i.core.kinds import FEATURE_EXTRACTOR
from i2i.errors import OptionError
from i2i.nn.augmentation.diffaugment import DiffAugment
from i2i.nn.discriminators.projected import Projected
from i2i.nn.functional.adversarial import hinge

ORDER = Path(__file__).parents[2] / "golden" / "projected_gan" / "state_dict_order_default_size.json"
"""Official names and shapes in their order; a set of figures may hold them too."""
UNTRAINED = FEATURE_EXTRACTOR("timm", weights="untrained")


class StandIn(nn.Module):
    """The small backbone of the figures, in the place of a feature extractor."""

    source = "stand-in"

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.num_features = tuple(widths)

        def unit(before: int, after: int, stride: int) -> list[nn.Module]:
            convolution = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            return [convolution, nn.BatchNorm2d(after), nn.ReLU6()]

        first = widths[0]
        self.layer0 = nn.Sequential(
            *unit(3, first, 2), nn.Sequential(*unit(first, first, 1)), nn.Sequential(*unit(first, first, 2))
        )
        for index, (before, after) in enumerate(pairwise(widths), 1):
            setattr(self, f"layer{index}", nn.Sequential(nn.Sequential(*unit(before, after, 2))))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = []
        for index in range(len(self.num_features)):
            image = getattr(self, f"layer{index}")(image)
            features.append(image)
        return tuple(features)

    def load_weights_(self) -> None:
        """There are none."""


def numbered(index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers in [0, 1) by the recipe of the figures' README."""
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        step = np.uint64(0x9E3779B97F4A7C15)
        z = (np.arange(count, dtype=np.uint64) + np.uint64(1) + np.uint64(index) * np.uint64(1000003)) * step
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float64) / 2**24).reshape(shape)


def numbered_weight(name: str, index: int, shape: tuple[int, ...]) -> Tensor:
    u, leaf = numbered(index, shape), name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.long)
    if leaf == "running_var":
        value = 0.5 + u
    elif leaf in ("running_mean", "bias"):
        value = 0.2 * (2 * u - 1)
    elif leaf in ("weight_u", "weight_v"):
        value = (2 * u - 1) / np.linalg.norm(2 * u - 1)
    elif len(shape) == 1:
        value = 0.8 + 0.4 * u
    else:
        value = (2 * u - 1) * np.sqrt(3) * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))


LEAVES = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}


def ours(official: str, last: Mapping[str, int]) -> str:
    """Our name of one of the small networks' tensors, or of the mixing's; `last` are the networks' last layers."""
    if scratch := re.fullmatch(r"feature_network\.scratch\.layer(\d)_(ccm|csm\.out_conv)\.(\w+)", official):
        return f"mixing.{'channels' if scratch[2] == 'ccm' else 'scales'}.{scratch[1]}.{scratch[3]}"
    match = re.fullmatch(r"(?:discriminator\.)?mini_discs\.(\d+)\.main\.(\d+)\.(.*)", official)
    assert match, official
    scale, layer, rest = match.groups()
    inner, _, leaf = rest.removeprefix("main.").rpartition(".")
    place = "final" if int(layer) == last[scale] else f"blocks.{layer}.{inner}"
    return f"scales.{scale}.{place}.{LEAVES.get(leaf, leaf)}"


class Case:
    """One file of the figures with our discriminator, in float64.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            self.tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            self.config = json.loads(file.metadata()["config"])
        given, options = self.config["settings"], self.config["backbone_kwargs"]
        lite = self.config["backbone"] != "stand-in"
        self.discriminator = Projected(
            UNTRAINED if lite else lambda taps: StandIn(given["ch"]),  # type: ignore[arg-type]
            width=options["cout"],
            channels=given.get("ndf"),
            separable=options["separable"],
            scales=options["num_discs"],
            resize=224 if self.config["interp224"] else None,
        )
        state = {key[6:]: value for key, value in self.tensors.items() if key.startswith("param/")}
        if lite:
            names = path.parent / ORDER.name
            entries = json.loads((names if names.is_file() else ORDER).read_text())
            state = {
                name: numbered_weight(name, self.config["numbered_offset"] + index, tuple(shape))
                for index, (name, shape) in enumerate(entries)
            }
        self._load(state, lite)
        self.discriminator.double().train()
        self.images = {
            name: self.tensors[name].double()
            if name in self.tensors
            else torch.from_numpy(
                2 * numbered(self.config["image_indices"][index], (given["batch"], 3, given["size"], given["size"])) - 1
            )
            .float()
            .double()
            for index, name in enumerate(("fake", "real"))
        }

    def _load(self, state: Mapping[str, Tensor], lite: bool) -> None:
        layers = re.compile(r"discriminator\.mini_discs\.(\d+)\.main\.(\d+)\.")
        self.last: dict[str, int] = {}
        for scale, layer in (match.groups() for name in state if (match := layers.match(name))):
            self.last[scale] = max(self.last.get(scale, 0), int(layer))
        prefix = "feature_network.pretrained."
        backbone = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        network: Any = self.discriminator.features.module
        if lite:  # timm's network, cut at the taps; its layers come in the same order
            network = network.network
            names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
            values = [value for name, value in backbone.items() if not name.endswith("num_batches_tracked")]
            assert [value.shape for value in values] == [network.state_dict()[name].shape for name in names]
            network.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
        else:
            network.load_state_dict(backbone)
        rest = {ours(name, self.last): value for name, value in state.items() if not name.startswith(prefix)}
        self.discriminator.load_state_dict(rest)

    def logits(self, forward: str) -> Tensor:
        """One forward, with the recorded draws if there are any."""
        image = self.images[forward[2:]]
        if self.config["diffaug"]:
            prefix = f"draw/{forward}/"
            draws = {key.removeprefix(prefix): v for key, v in self.tensors.items() if key.startswith(prefix)}
            draws = {key: v.double() if v.is_floating_point() else v for key, v in draws.items()}
            image = DiffAugment(cutout=0.2).apply_draws(image, draws)
        return self.discriminator(image).logits["patch"].flatten(1)

    def close(self, found: Tensor, key: str, tolerance: float = 1e-10) -> None:
        expected = self.tensors[key].double()
        assert found.shape == expected.shape, key
        assert float((found - expected).norm()) <= tolerance * max(float(expected.norm()), 1e-9), key


@pytest.mark.parametrize("name", ["tiny", "tinysep", "lite_small", "lite"])
def test_official_step(golden: Path, name: str) -> None:
    path = golden / "projected_gan" / f"{name}.safetensors"
    if not path.is_file():
        pytest.skip("the figures of projected_gan are in the larger set alone (I2I_GOLDEN)")
    case = Case(path)
    lite = name.startswith("lite")
    gradients = 1e-8 if lite else 1e-10
    with torch.no_grad():
        real = case.images["real"]
        if case.config["interp224"]:
            real = nn.functional.interpolate(real, (224, 224), mode="bilinear", align_corners=False)
        features = case.discriminator.features(real)
        mixed = case.discriminator.mixing(features)
    for index, values in enumerate(mixed):
        if lite:
            case.close(values.mean((2, 3)), f"mixed64_mean/{index}")
            case.close(values.square().mean((2, 3)).sqrt(), f"mixed64_rms/{index}")
            case.close(values[:, :4, :3, :3], f"mixed64_corner/{index}")
        else:
            case.close(values.sum((2, 3)), f"mixed64_sum/{index}")

    fake = case.images["fake"].requires_grad_()
    logits = case.logits("G_fake")
    loss = -logits.mean()
    (gradient,) = torch.autograd.grad(loss, fake)
    case.close(logits, "step64/G/logits")
    case.close(loss, "step64/G/loss")
    if "step64/G/grad/fake" in case.tensors:
        case.close(gradient, "step64/G/grad/fake", gradients)
    else:
        case.close(gradient.flatten(1).norm(dim=1), "step64/G/grad/fake_norm_per_image", gradients)
    state = case.discriminator.state_dict()
    after = {key: key.removeprefix("step64/G/after/") for key in case.tensors if key.startswith("step64/G/after/")}
    for key, official in after.items():
        case.close(state[ours(official, case.last)], key)

    fake.requires_grad_(False)
    judged = {side: case.logits(f"D_{side}") for side in ("fake", "real")}
    losses = {side: hinge(judged[side], target=side == "real") for side in judged}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    for side in judged:
        case.close(judged[side], f"step64/D/logits_{side}")
        case.close(losses[side], f"step64/D/loss_{side}")
    parameters = dict(case.discriminator.named_parameters())
    compared = 0
    for key in case.tensors:
        if key.startswith("step64/D/grad/"):
            found = parameters[ours(key.removeprefix("step64/D/grad/"), case.last)].grad
            # A bias before batch norm has no gradient but for rounding.
            if float(case.tensors[key].norm()) > 1e-9:
                case.close(found, key, gradients)
                compared += 1
        elif key.startswith("step64/after/"):
            case.close(case.discriminator.state_dict()[ours(key.removeprefix("step64/after/"), case.last)], key)
    assert compared


def test_only_the_small_networks_are_trained_and_saved() -> None:
    torch.manual_seed(0)
    discriminator = Projected(UNTRAINED, taps=("blocks.1", "blocks.2"), width=4, channels=4, resize=64, nominal_size=64)
    trained = {name for name, parameter in discriminator.named_parameters() if parameter.requires_grad}
    assert trained
    assert all(name.startswith("scales.") for name in trained)
    state = discriminator.state_dict()
    assert {name.split(".")[0] for name in state} == {"scales", "mixing"}
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    logits = discriminator(image).logits["patch"]
    assert logits.shape == (2, 1, 1, 50)
    logits.sum().backward()
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0
    assert all(p.grad is not None for name, p in discriminator.named_parameters() if name in trained)
    again = Projected(UNTRAINED, taps=("blocks.1", "blocks.2"), width=4, channels=4, resize=64, nominal_size=64)
    again.load_state_dict(state)
    assert torch.equal(again.mixing.scales[0].weight, discriminator.mixing.scales[0].weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 64, "resize": None}, "nominal_size: 256 needs images of at least 128 px, got 64 px"),
        ({"image_size": 136, "resize": None}, "resize: expected sides that are multiples of 32 for 4 taps, got 136"),
        ({"image_size": 64, "taps": ()}, "taps: expected 1 to 4 layers, the finest first, got 0"),
        ({"image_size": 64, "in_channels": 6}, "in_channels: expected 3"),
    ],
)
def test_sizes_without_logits_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Projected(UNTRAINED, **options)
    assert f"{caught.value.option}: {caught.value.message}".startswith(message)
