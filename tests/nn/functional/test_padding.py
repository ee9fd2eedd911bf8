"""Padding keeps the type of features, also where autocast would widen them."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from i2i.nn.functional.padding import pad


def test_half_precision_is_padded_as_it_is() -> None:
    x = torch.rand(1, 2, 4, 5, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert F.pad(x, [1] * 4, mode="reflect").dtype == torch.float32  # otherwise `pad` is not needed
        y = pad(x, (1, 1, 2, 0))
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, F.pad(x, (1, 1, 2, 0), mode="reflect"))
