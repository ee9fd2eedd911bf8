"""The same seed gives the same bits, and the curve that it gave when it was written down."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from i2i.core.hookspecs import hookimpl
from i2i.engine.determinism import determinism
from i2i.engine.run import Run
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

CURVE = Path(__file__).with_name("curve.json")
"""Loss terms of six steps in float64; `python tests/training/test_determinism.py` writes them anew."""


class Curve:
    """Collects all terms of all steps."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    @hookimpl
    def step_finished(self, run: Run, terms: dict[str, torch.Tensor]) -> None:
        self.rows.append({name: float(value) for name, value in terms.items()})


def curve(tiny: dict[str, object], folder: Path, **more: object) -> list[dict[str, float]]:
    collected = Curve()
    settings = tiny | {"train.deterministic": True, "train.precision": "fp64"} | more
    train(Recipe.read("ugatit_small", settings), folder, extras=[collected])
    return collected.rows


@pytest.mark.thorough
def test_two_runs_are_equal_to_the_bit(tiny: dict[str, object], tmp_path: Path) -> None:
    short = {"train.precision": "fp32", "train.steps": 2}
    one = curve(tiny, tmp_path / "one", **short)
    assert one == curve(tiny, tmp_path / "other", **short)
    assert one != curve(tiny, tmp_path / "seed", **short, **{"train.seed": 1})


@pytest.mark.thorough
def test_the_curve_is_the_one_that_was_written_down(tiny: dict[str, object], tmp_path: Path) -> None:
    expected, got = json.loads(CURVE.read_text()), curve(tiny, tmp_path / "run")
    assert len(got) == len(expected) == 6
    for step, (row, was) in enumerate(zip(got, expected, strict=True)):
        # Machines round differently, and adversarial steps amplify it; a change of the method is far above this.
        assert row == pytest.approx(was, rel=1e-6), step


def test_the_switch_is_put_back() -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    with determinism(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before


if __name__ == "__main__":
    import tempfile

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import TINY

    with tempfile.TemporaryDirectory() as folder:
        CURVE.write_text(json.dumps(curve(dict(TINY), Path(folder) / "run"), indent=1) + "\n")
