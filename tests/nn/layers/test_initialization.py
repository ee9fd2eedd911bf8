"""What each way to draw weights leaves behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.nn.layers.initialization import Initialization, initialize


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(16, 64, 3), nn.BatchNorm2d(64), nn.PReLU(), nn.ConvTranspose2d(64, 32, 3), nn.Linear(64, 99)
    )


def test_default_draws_nothing() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    initialize(model, "default")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_normal_is_cyclegans() -> None:
    torch.manual_seed(0)
    model = network()
    initialize(model, "normal")
    for layer in (model[0], model[3], model[4]):
        assert float(layer.weight.detach().mean()) == pytest.approx(0, abs=1e-3)
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()
    assert float(model[1].weight.detach().mean()) == pytest.approx(1, abs=0.01)
    assert float(model[1].weight.detach().std()) == pytest.approx(0.02, rel=0.3)
    assert model[2].weight.item() == 0.25, "PReLU's slope is no norm's scale"


@pytest.mark.parametrize(("how", "gain"), [("xavier", 0.02), ("kaiming", 0.02), ("orthogonal", 0.5)])
def test_others(how: Initialization, gain: float) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 128)
    initialize(layer, how, gain)
    weight = layer.weight.detach()
    if how == "orthogonal":
        torch.testing.assert_close(weight.t() @ weight, gain**2 * torch.eye(64))
    else:
        expected = gain * (2 / (64 + 128)) ** 0.5 if how == "xavier" else (2 / 64) ** 0.5
        assert float(weight.std()) == pytest.approx(expected, rel=0.05)
    assert not layer.bias.any()
