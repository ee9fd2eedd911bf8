"""InfoGAN's and DRAGAN's formulas against numbers computed from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from i2i_stylegan.dcgan import MutualInformation, gaussian_nll
from i2i_stylegan.losses import DRAGANSegment
from official_figures import Figures, relative_error
from stylegan_parity import TOLERANCE
from torch import Tensor
from torch.nn import functional as F

pytestmark = pytest.mark.golden


def test_mutual_information(golden: Callable[[str], Figures]) -> None:
    figures = golden("infogan_dragan/formulas")
    logits = figures.tensor("cat_logits").double().requires_grad_()
    code = figures.tensor("cat_code")
    category = code.argmax(1) if code.ndim == 2 else code.long()
    mean = figures.tensor("cont_mean").double().requires_grad_()
    value = figures.tensor("cont_code").double()
    cross_entropy = F.cross_entropy(logits, category)
    assert relative_error(cross_entropy, figures["cross_entropy64"]) <= TOLERANCE
    fixed = gaussian_nll(value, mean)
    assert relative_error(fixed, figures["gauss_nll_fixed_std64"]) <= TOLERANCE
    loss = MutualInformation().generator(logits, category, mean, value)
    assert relative_error(loss, cross_entropy + fixed) <= TOLERANCE
    loss.backward()
    assert relative_error(logits.grad, figures["grad64/cat_logits"]) <= TOLERANCE
    assert relative_error(mean.grad, figures["grad64/cont_mean_fixed"]) <= TOLERANCE
    log_std = figures.tensor("cont_log_std").double().requires_grad_()
    learned = gaussian_nll(value, mean.detach(), log_std)
    assert relative_error(learned, figures["gauss_nll_learned_std64"]) <= TOLERANCE
    learned.backward()
    assert relative_error(log_std.grad, figures["grad64/cont_log_std"]) <= TOLERANCE


def test_dragan(golden: Callable[[str], Figures]) -> None:
    figures = golden("infogan_dragan/formulas")
    part = {name: figures.tensor(f"dragan/{name}").double() for name in ("real", "alpha", "uniform", "w", "Q")}

    def critic(image: Tensor) -> dict[str, Tensor]:
        flat = image.flatten(1)
        return {"image": flat @ part["w"] + (flat @ part["Q"]).square().sum(1)}

    loss = DRAGANSegment(1.0)
    point = loss.point(part["real"], part["alpha"], part["uniform"])
    assert relative_error(point, figures["dragan/std_noise/x_hat"]) <= TOLERANCE
    penalty = figures.tensor("dragan/std_noise/penalty_per_sample64").mean()
    # The figures were computed with a critic in float64 whose weights are stored rounded to float32.
    assert relative_error(loss.at(point, critic), penalty) <= 1e-8
    assert torch.isfinite(point).all()
