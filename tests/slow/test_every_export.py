"""Every shipped recipe, of core and plugins, is exported and computes i2i's images, or is refused as documented."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("all_plugins")]
ROOT = Path(__file__).parents[2]
RECORD: dict[str, dict[str, Any]] = json.loads((ROOT / "docs" / "exports.json").read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(RECORD))
def test_a_recipe_is_exported_as_recorded(name: str, tmp_path: Path) -> None:
    compare = runpy.run_path(str(ROOT / "benchmarks" / "exports.py"))["compare"]
    found = compare(name, tmp_path)  # raises where the file differs by more than 1e-5
    assert found | {"error": 0} == RECORD[name] | {"error": 0}
