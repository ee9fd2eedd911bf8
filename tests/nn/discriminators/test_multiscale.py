"""The multi-scale discriminator: shapes, legal sizes, and the official one's logits, losses and gradients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from i2i.core.kinds import NORM
from i2i.errors import OptionError, ShapeError
from i2i.methods.weights.munit import MUNIT
from i2i.nn.discriminators.multiscale import Multiscale, smallest_image
from i2i.nn.losses.adversarial import BCEGAN, LSGAN


@pytest.mark.parametrize(("layers", "scales"), [(1, 1), (2, 3), (3, 2), (4, 3)])
def test_the_smallest_image_leaves_one_logit(layers: int, scales: int) -> None:
    size = smallest_image(layers, scales)
    model = Multiscale(2, layers, scales)
    logits = model(torch.zeros(1, 3, size, size)).logits
    assert list(logits) == [f"scale_{index}" for index in range(scales)]
    assert logits[f"scale_{scales - 1}"].shape == (1, 1, 1, 1)
    Multiscale.check(size, layers, scales)
    with pytest.raises(ShapeError, match=rf"sides of at least {size}, got \[1, 3, {size - 1}, {size}\]"):
        model(torch.zeros(1, 3, size - 1, size))
    if size > 2:
        model.smallest_image = 1
        with pytest.raises((RuntimeError, IndexError)):  # the rule is exact: torch itself refuses one pixel less
            model(torch.zeros(1, 3, size - 1, size - 1))


@pytest.mark.parametrize(
    ("size", "layers", "scales", "message"),
    [
        (32, 4, 3, "4 layers at 3 scales need images of at least 61 px, got 32 px; 3 layers or 2 scales would fit"),
        (16, 4, 3, "4 layers at 3 scales need images of at least 61 px, got 16 px; 2 layers or 1 scale would fit"),
        (3, 2, 3, "2 layers at 3 scales need images of at least 13 px, got 3 px; fewer of both would fit"),
    ],
)
def test_too_small_images_are_refused_with_what_would_fit(size: int, layers: int, scales: int, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Multiscale.check(size, layers, scales)
    assert caught.value.message == message


@pytest.mark.parametrize("options", [{}, {"norm": NORM("in")}, {"spectral_norm": True}, {"padding": "zeros"}])
def test_a_gradient_reaches_every_parameter_and_state_survives(options: dict[str, object]) -> None:
    model = Multiscale(2, 2, 2, **options)  # type: ignore[arg-type]
    image = torch.rand(2, 3, 24, 20)
    sum(logits.square().sum() for logits in model(image).logits.values()).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    twin = Multiscale(2, 2, 2, **options)  # type: ignore[arg-type]
    twin.load_state_dict(model.state_dict())
    for key, logits in model.eval()(image).logits.items():
        assert torch.equal(logits, twin.eval()(image).logits[key])


def error(got: Tensor | None, expected: Tensor) -> float:
    assert got is not None
    norm = float(expected.norm())
    return float((got.detach().double() - expected).norm()) / (norm if norm > 1e-9 else 1.0)


@pytest.mark.parametrize("method", ["munit", "unit"])
@pytest.mark.parametrize(("name", "loss"), [("dis_lsgan", LSGAN()), ("dis_nsgan", BCEGAN())])
def test_the_official_logits_losses_and_gradients(golden: Path, method: str, name: str, loss: LSGAN | BCEGAN) -> None:
    with safe_open(golden / method / f"{name}.safetensors", "pt") as file:
        figures = {key: file.get_tensor(key) for key in list(file.keys())}
        dis = json.loads(file.metadata()["config"])["dis"]
    model = Multiscale(dis["dim"], dis["n_layer"], dis["num_scales"])

    def ours(prefix: str) -> dict[str, Tensor]:
        state = {key.removeprefix(prefix): value for key, value in figures.items() if key.startswith(prefix)}
        return MUNIT.networks["dis.a"].convert(state)

    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        model.to(dtype).load_state_dict(ours("param/"))
        for key, logits in model(figures["real"].to(dtype)).logits.items():
            assert error(logits, figures[f"out64/{key.removeprefix('scale_')}"]) < tolerance, key
    real, fake = (figures[key].double().requires_grad_() for key in ("real", "fake"))
    output = zip(model(real).logits.values(), model(fake).logits.values(), strict=True)
    total = torch.stack([loss.discriminator(of_real, of_fake) for of_real, of_fake in output]).sum()
    assert error(total, figures["dis_loss64"]) < 1e-10
    total.backward()
    assert error(real.grad, figures["grad64_dis/real"]) < 1e-10
    assert error(fake.grad, figures["grad64_dis/fake"]) < 1e-10
    expected = ours("grad64_dis/param/")
    for key, parameter in model.named_parameters():
        assert error(parameter.grad, expected[key]) < 1e-10, key
    fake.grad = None
    total = torch.stack([loss.generator(logits) for logits in model(fake).logits.values()]).sum()
    assert error(total, figures["gen_loss64"]) < 1e-10
    total.backward()
    assert error(fake.grad, figures["grad64_gen/fake"]) < 1e-10
