"""The step decay against torch's own scheduler, stepped as the official MUNIT steps it."""

from __future__ import annotations

import pytest
import torch

from i2i.engine.schedules import StepDecay


@pytest.mark.parametrize(("every", "gamma"), [(1, 0.5), (3, 0.1), (10, 0.5)])
def test_the_scheduler_moves_before_the_first_update(every: int, gamma: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, every, gamma)
    schedule = StepDecay(every, gamma)
    for step in range(12):
        optimizer.step()
        scheduler.step()
        assert schedule(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
