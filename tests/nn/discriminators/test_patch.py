"""Legal sizes by brute force, and what the options do."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
import torch

from i2i.core.kinds import ATTENTION, NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.discriminators.patch import Patch, most_layers, smallest_image
from i2i.nn.layers.spectral import Padding


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_rule_by_brute_force(padding: Padding) -> None:
    for layers in range(3, 7):
        model = Patch(1, layers, norm=None, padding=padding).eval()
        model.smallest_image = 0  # let the convolutions speak
        works = []
        with torch.no_grad():
            for size in range(1, 60):
                try:
                    works += [size] if model(torch.zeros(1, 3, size, size)).logits["patch"].numel() else []
                except RuntimeError:  # torch's own word for a map too small
                    continue
        assert works == list(range(smallest_image(layers), 60))


def test_most_layers_is_the_inverse() -> None:
    for size in range(1, 600):
        legal = [layers for layers in range(3, 12) if smallest_image(layers) <= size]
        assert most_layers(size) == max(legal, default=0)


def test_known_sizes() -> None:
    assert (smallest_image(7), smallest_image(5)) == (96, 24)
    for size, layers, patches in ((256, 5, 30), (128, 5, 14), (96, 7, 1), (128, 7, 2), (64, 6, 2)):
        assert Patch(1, layers, norm=None)(torch.zeros(1, 3, size, size)).logits["patch"].shape[-1] == patches


@pytest.mark.parametrize(
    ("size", "layers", "message"),
    [
        (64, 7, "layers: 7 layers need images of at least 96 px, got 64 px; at most 6 layers work at 64 px"),
        (23, 5, "layers: 5 layers need images of at least 24 px, got 23 px; at most 4 layers work at 23 px"),
        (5, 3, "layers: 3 layers need images of at least 6 px, got 5 px; no number of layers works at 5 px"),
        (256, 2, "layers: expected at least 3, got 2"),
    ],
)
def test_check(size: int, layers: int, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$") as caught:
        Patch.check(size, layers)
    assert caught.value.option == "layers"
    Patch.check(96, 7)
    Patch.check(24, 5)


def test_errors_of_the_module() -> None:
    with pytest.raises(OptionError, match=r"^layers: expected at least 3, got 1$"):
        Patch(4, 1)
    expected = "patch discriminator: expected images [B, 3, H, W] with sides of at least 24, got "
    for shape in ([1, 3, 20, 64], [1, 1, 64, 64], [3, 64, 64]):
        with pytest.raises(ShapeError, match=f"^{re.escape(expected + str(shape))}$"):
            Patch(1)(torch.zeros(shape))


OPTIONS = list(product([None, NORM("in"), NORM("bn")], [False, True], ["zeros", "reflect"], [None, ATTENTION("cam")]))


@pytest.mark.parametrize(("norm", "spectral_norm", "padding", "attention"), OPTIONS)
def test_shapes_gradients_and_state(norm, spectral_norm, padding, attention, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = Patch(4, 4, 6, norm, spectral_norm, padding, attention=attention)
    output = model(torch.randn(2, 6, 24, 20))
    assert output.logits["patch"].shape == (2, 1, 4, 3)
    assert set(output.logits) == ({"patch"} if attention is None else {"patch", "cam"})
    sum((logits * torch.randn_like(logits)).sum() for logits in output.logits.values()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    torch.save(model.state_dict(), tmp_path / "patch.pt")
    again = Patch(4, 4, 6, norm, spectral_norm, padding, attention=attention)
    again.load_state_dict(torch.load(tmp_path / "patch.pt"))
    image = torch.randn(1, 6, 24, 20)
    assert torch.equal(model.eval()(image).logits["patch"], again.eval()(image).logits["patch"])


def test_channels_grow_to_the_limit() -> None:
    def widths(limit: int | None) -> list[int]:
        return [block.conv.out_channels for block in Patch(2, 7, norm=None, max_multiplier=limit).blocks]

    assert widths(8) == [2, 4, 8, 16, 16, 16]
    assert widths(None) == [2, 4, 8, 16, 32, 64]


def test_official_sizes() -> None:
    def parameters(**options: object) -> int:
        return sum(parameter.numel() for parameter in Patch(**options).parameters())  # type: ignore[arg-type]

    with torch.device("meta"):
        cam = {"norm": None, "spectral_norm": True, "max_multiplier": None, "attention": ATTENTION("cam")}
        assert parameters() == 2_764_737
        assert round(parameters(layers=5, final_bias=False, **cam) / 1e6, 2) == 3.29
        assert round(parameters(layers=7, final_bias=False, **cam) / 1e6, 2) == 53.13
