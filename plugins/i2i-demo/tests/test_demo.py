"""The app translates as i2i does, and a Space's files are complete."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
SMALL = {"translator.generator.channels": 4, "translator.generator.blocks": 1, "data.size": 32}


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("i2i_demo", reason="the plugin i2i-demo is not installed; it needs gradio")


def loaded(name: str) -> Loaded:
    recipe = Recipe.read(name, SMALL)
    return Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 0)


def test_space_files(tmp_path: Path) -> None:
    from i2i_demo.space import write_space

    files = write_space("hf://user/portraits@main", tmp_path / "space", "CC0-1.0")
    assert [path.name for path in files] == ["app.py", "requirements.txt", "README.md"]
    ast.parse(files[0].read_text())
    assert 'i2i.load("hf://user/portraits@main")' in files[0].read_text()
    assert 'models: ["user/portraits"]' in files[2].read_text()
    with pytest.raises(I2IError, match="already exists"):
        write_space("hf://user/portraits", tmp_path / "space")
    with pytest.raises(I2IError, match="--space: expected hf://user/name"):
        write_space("runs/portraits", tmp_path / "other")


def test_the_app_translates(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs gradio")
    client = pytest.importorskip("gradio_client")
    from i2i_demo.app import create_app, translated

    model = loaded("ugatit_small")
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8))
    (before, after), heat = translated(model, photo, "b")
    assert np.array_equal(np.asarray(after), np.asarray(model.translate(photo, "b")))
    assert heat is not None
    assert before.size == after.size == heat.size
    app = create_app({"portraits": model, "munit": loaded("munit_small")})
    _, address, _ = app.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    try:
        path = tmp_path / "photo.png"
        photo.save(path)
        result, _ = client.Client(address, verbose=False).predict(
            client.handle_file(str(path)), "portraits", "b", None, None, api_name="/translate"
        )
        assert np.array_equal(np.asarray(Image.open(result[1]).convert("RGB")), np.asarray(after))
    finally:
        app.close()
