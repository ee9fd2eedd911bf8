"""The losses against independent statements of the paper's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from i2i_dtn.losses import Binary, Ternary, TotalVariation
from torch import Tensor

from i2i.errors import ShapeError


def logits(classes: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return tuple(torch.randn(5, classes, 1, 1, dtype=torch.float64) for _ in range(3))  # type: ignore[return-value]


def log_sigmoid(x: Tensor) -> np.ndarray:
    return -np.log1p(np.exp(-x.numpy()))


def log_share(x: Tensor, number: int) -> np.ndarray:
    """Return the log probability of class 1, 2 or 3."""
    odds = np.exp(x.numpy()[:, :, 0, 0])
    return np.log(odds[:, number - 1] / odds.sum(1))


def test_binary() -> None:
    real, fake, reproduced = logits(1)
    loss = Binary()
    generated = -log_sigmoid(-fake).mean(), -log_sigmoid(-reproduced).mean()
    as_real = -log_sigmoid(fake).mean(), -log_sigmoid(reproduced).mean()
    real_term = -log_sigmoid(real).mean()
    assert loss.source_discriminator(fake).item() == pytest.approx(generated[0])
    assert loss.target_discriminator(real, reproduced).item() == pytest.approx(real_term + generated[1])
    assert loss.source_generator(fake).item() == pytest.approx(as_real[0])
    assert loss.target_generator(reproduced).item() == pytest.approx(as_real[1])
    assert loss.discriminator(real, fake, reproduced).item() == pytest.approx(real_term + sum(generated))
    assert loss.generator(fake, reproduced).item() == pytest.approx(sum(as_real))


def test_ternary() -> None:
    real, fake, reproduced = logits(3)
    loss = Ternary()
    equation_3 = -log_share(fake, 1).mean() - log_share(reproduced, 2).mean() - log_share(real, 3).mean()
    equation_5 = -log_share(fake, 3).mean() - log_share(reproduced, 3).mean()
    assert loss.discriminator(real, fake, reproduced).item() == pytest.approx(equation_3)
    assert loss.generator(fake, reproduced).item() == pytest.approx(equation_5)
    parts = loss.source_discriminator(fake) + loss.target_discriminator(real, reproduced)
    assert parts.item() == pytest.approx(equation_3)
    assert (loss.source_generator(fake) + loss.target_generator(reproduced)).item() == pytest.approx(equation_5)


def test_total_variation() -> None:
    image = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    image[0, 0, 1, 1] = 3
    # Neighbours to the right and below differ at (0,1), (1,0) and, in both directions, at (1,1).
    assert TotalVariation()(image).item() == pytest.approx((3 + 3 + 3 * 2**0.5) / 4, rel=1e-5)
    flat = torch.ones(1, 3, 4, 4, requires_grad=True)
    TotalVariation()(flat).backward()
    assert torch.isfinite(flat.grad).all()


def test_losses_refuse_another_number_of_classes() -> None:
    with pytest.raises(ShapeError, match=r"dtn_ternary: expected 3 logits .*, got 1; set the .* classes = 3"):
        Ternary().source_generator(logits(1)[0])
    with pytest.raises(ShapeError, match="dtn_binary: expected 1 logits"):
        Binary().source_generator(logits(3)[0])
