"""The nearest name to one that does not exist."""

from __future__ import annotations

import pytest

from i2i.core.spelling import did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("adalim", ["adain", "adalin"], "adalin"),
        ("AdaLIN", ["adain", "adalin"], "adalin"),
        ("cam", ["CAM"], "CAM"),
        ("epsilon", ["eps", "eps_on"], "eps"),
        ("batchsize", ["batch_size", "steps"], "batch_size"),
        ("instance", ["in", "iln"], None),
        ("colour", ["translator", "losses"], None),
        ("", ["a"], None),
        ("x", [], None),
        ("x" * 100_000, ["xxx"], "xxx"),
    ],
)
def test_nearest(name: str, names: list[str], near: str | None) -> None:
    assert nearest(name, names) == near
    assert did_you_mean(name, names) == ("" if near is None else f" Did you mean {near!r}?")


def test_how_near_may_be_asked() -> None:
    assert nearest("seed", ["schedule"]) == "schedule"
    assert nearest("seed", ["schedule"], 0.7) is None
