"""The multi-scale discriminator: shapes, legal sizes."""

from __future__ import annotations

import pytest
import torch

from i2i.core.kinds import NORM
from i2i.errors import OptionError, ShapeError
from i2i.nn.discriminators.multiscale import Multiscale, smallest_image


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
