"""Files of a Hugging Face Space that shows one model of the hub."""

from __future__ import annotations

import json
import os
from pathlib import Path

from i2i.core.version import __version__
from i2i.errors import I2IError
from i2i.use.hub import is_address

APP = '''"""A Space for {address}."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import i2i
from i2i_demo.app import create_app

create_app({{"{name}": i2i.load("{address}")}}).queue(max_size=20).launch()
'''


def write_space(run: str, folder: Path, license: str = "other") -> list[Path]:
    """Write `app.py`, `requirements.txt` and `README.md`.

    Args:
        run: address of the model, `hf://user/name`.
        folder: folder to write; files that exist are not overwritten.
        license: licence for the card.

    Returns:
        paths: the files.

    Raises:
        I2IError: the run is not on the hub, or a file exists.
    """
    if not is_address(run) or any(letter in run for letter in "\"'\\\n{}"):
        raise I2IError(
            f"--space: expected hf://user/name, since a Space downloads its model, got {run}; see `i2i push`"
        )
    name = run.split("/")[-1].partition("@")[0]
    card = {
        "title": name,
        "sdk": "gradio",
        "app_file": "app.py",
        "license": license.lower(),
        "models": [run[5:].partition("@")[0]],
    }
    files = {
        "app.py": APP.format(address=run, name=name),
        "requirements.txt": f"i2i[hub]>={__version__}\ni2i-demo>=0.1\n",
        "README.md": "".join(["---\n", *(f"{key}: {json.dumps(value)}\n" for key, value in card.items()), "---\n"]),
    }
    if existing := [folder / file for file in files if (folder / file).exists()]:
        raise I2IError(f"{existing[0]} already exists; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        part = folder / f".{file}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder / file)
    return [folder / file for file in files]
