"""The plugins' small recipes are exported and compute the same; a process each, since tests see no plugins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path

from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.export import export
from i2i.use.loaded import Loaded

recipe = Recipe.read(sys.argv[1])
model = Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 0)
exported = export(model, Path(sys.argv[2]), to=model.translator.targets[-1])
print(exported.error, *exported.inputs)
"""
INPUTS = {
    "cartoongan_small": "image",
    "drit_small": "image style",
    "dtn_small": "image",
    "fomm_small": "image driving",
    "pono_quickstart": "image",
    "stargan2_small": "image style",
    "adain_style_small": "image style",
    "fast_style_small": "image style",
    "twingan_small": "image",
}


@pytest.mark.parametrize("name", INPUTS)
def test_a_plugin_is_exported(name: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "I2I_PLUGINS"}
    command = [sys.executable, "-c", SCRIPT, name, str(tmp_path / "x.onnx")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT).stdout
    error, inputs = printed.splitlines()[-1].split(" ", 1)
    assert float(error) <= 1e-5
    assert inputs == INPUTS[name]
