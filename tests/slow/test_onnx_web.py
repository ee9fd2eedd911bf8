"""The JavaScript example of docs/export.md runs an exported file in a real browser and computes what i2i computes."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.export import export
from i2i.use.loaded import Loaded

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
CHROMIUM = os.environ.get("I2I_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
if CHROMIUM is None or shutil.which("npm") is None:
    pytest.skip("needs Chromium and npm, which downloads onnxruntime-web", allow_module_level=True)

ROOT = Path(__file__).parents[2]
PAGE = """<!doctype html><meta charset="utf-8"><canvas id="canvas" width="36" height="32"></canvas>
<script type="module">
import { translate } from "./example.js";
const image = new Image();
image.src = "photo.png";
await image.decode();
const canvas = document.getElementById("canvas");
canvas.getContext("2d").drawImage(image, 0, 0);
const result = await translate("model.onnx", canvas);
window.result = { values: Array.from(result.data), shape: Array.from(result.dims) };
</script>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map: ClassVar[dict[str, str]] = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
    }

    def log_message(self, *_: object) -> None:
        pass


def test_the_example_runs_in_a_browser(tmp_path: Path) -> None:
    subprocess.run(["npm", "pack", "onnxruntime-web", "--silent"], cwd=tmp_path, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
            file = package.extractfile(f"package/dist/{name}")
            assert file is not None
            (tmp_path / name).write_bytes(file.read())
    settings = {"translator.generator.channels": 4, "translator.generator.blocks": 1}
    recipe = Recipe.read("cyclegan_small", settings)
    model = Loaded(recipe, build(recipe, training=False).eval().requires_grad_(False), 0)
    export(model, tmp_path / "model.onnx")
    (example,) = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/export.md").read_text(), re.MULTILINE | re.DOTALL)
    assert example.count("\n") <= 26
    (tmp_path / "example.js").write_text(example)
    (tmp_path / "index.html").write_text(PAGE)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 36, 3), dtype=np.uint8))
    photo.save(tmp_path / "photo.png")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
            page.wait_for_function("window.result !== undefined", timeout=60_000)
            result = page.evaluate("window.result")
            browser.close()
    finally:
        server.shutdown()
    assert problems == []
    expected = model.run(torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 127.5 - 1, "b").image
    found = torch.tensor(result["values"]).reshape(result["shape"])
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
