"""PatchNCE against the official figures, against cross entropy, and by its properties."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from official_figures import read, relative_error
from torch.nn import functional as F

from i2i.nn.functional.contrastive import patch_nce
from i2i.nn.losses.patch_nce import PatchNCE


def test_official_figures(golden: Path) -> None:
    figures = read(golden / "cut", "patchnce")
    config = figures.config
    for tag, batch_size, whole_batch in config["cases"]:
        temperature = config["large_nce_T" if tag == "large_temperature" else "nce_T"]
        queries = figures.tensor("feat_q").double().requires_grad_()
        keys = figures.tensor("feat_k").double().requires_grad_()
        shape = (1 if whole_batch else batch_size, -1, queries.shape[1])
        losses = patch_nce(queries.reshape(shape), keys.detach().reshape(shape), temperature)
        assert relative_error(losses.flatten(), figures[f"{tag}/loss64"]) <= 1e-12
        # Through the loss: images of the batch, one layer.
        loss = PatchNCE(temperature, "batch" if whole_batch else "image")
        mean = loss.generator(*([x.reshape(batch_size, -1, x.shape[1])] for x in (queries, keys)))
        assert relative_error(mean, figures[f"{tag}/mean_loss64"]) <= 1e-12
        mean.backward()
        assert relative_error(queries.grad, figures[f"{tag}/grad64_mean/feat_q"]) <= 1e-10
        assert keys.grad is None


def test_is_cross_entropy_at_the_papers_temperature() -> None:
    queries, keys = (F.normalize(torch.randn(2, 9, 5, dtype=torch.float64), dim=2) for _ in range(2))
    expected = [F.cross_entropy(q @ k.T / 0.07, torch.arange(9)) for q, k in zip(queries, keys, strict=True)]
    assert float(PatchNCE().generator([queries], [keys])) == pytest.approx(
        float(torch.stack(expected).mean()), rel=1e-12
    )


@pytest.mark.parametrize(("negatives", "count"), [("image", 7), ("batch", 21)])
def test_nothing_to_tell_apart_costs_the_log_of_the_choices(negatives: str, count: int) -> None:
    alike = torch.ones(3, 7, 1, dtype=torch.float64)
    loss = PatchNCE(negatives=negatives)  # type: ignore[arg-type]
    assert float(loss.generator([alike] * 2, [alike] * 2)) == pytest.approx(math.log(count))


def test_half_precision_is_widened() -> None:
    queries, keys = (F.normalize(torch.randn(1, 16, 8), dim=2) for _ in range(2))
    exact = patch_nce(queries.bfloat16().float(), keys.bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        got = patch_nce(queries.bfloat16(), keys.bfloat16())
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, exact)
