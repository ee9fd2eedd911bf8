"""Model cards: what a model is, what it was trained on, its measured figures and its licence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i2i.core.version import __version__
from i2i.engine.checkpoint import Checkpoint
from i2i.errors import DataError
from i2i.use.loaded import Loaded

CARD = "README.md"
_USE = (
    "Research and creative work on images like those that it was trained on. Results on other images, and statements "
    "about persons from results, are not supported."
)


def write_card(
    path: Path,
    loaded: Loaded,
    saved: Checkpoint,
    license: str | None,
    intended_use: str | None,
    figures: Sequence[Path],
    has_samples: bool,
    drawn: bool,
) -> None:
    """Write the model card of a package, with metadata that the Hugging Face hub reads.

    Args:
        path: file to write.
        loaded: the model.
        saved: its checkpoint.
        license: licence of the weights; "other" in the metadata when None.
        intended_use: what it is meant for; a general sentence when None.
        figures: files of `i2i evaluate --output`.
        has_samples: whether a sample grid lies next to the card.
        drawn: whether the training data were drawn by i2i.

    Raises:
        DataError: a file of figures cannot be read.
    """
    measured = [figure for file in figures for figure in _figures(file)]
    recipe, domains = loaded.recipe, " and ".join(loaded.translator.domains)
    metadata: dict[str, Any] = {
        "library_name": "i2i",
        "pipeline_tag": "image-to-image",
        "license": (license or "other").lower(),
        "tags": ["i2i", "image-to-image", "pytorch", recipe.translator.name],
    }
    if measured:
        metadata["model-index"] = [
            {"name": recipe.name, "results": [_result(figure, recipe.name) for figure in measured]}
        ]
    size = f"{recipe.image_size[1]} x {recipe.image_size[0]}"
    weights = "moving average of the weights" if saved.state.get("ema") or _averaged(saved) else "weights"
    data = "images drawn by i2i, no photographs" if drawn else "images of whoever trained it"
    lines = [
        "---",
        # JSON is YAML, and quotes what needs it.
        *(f"{name}: {json.dumps(value)}" for name, value in metadata.items()),
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"Translates images between the domains {domains}. Made with i2i {__version__}.",
        "",
        *(["![Samples](samples.png)", ""] if has_samples else []),
        "```python",
        "import i2i",
        "",
        'loaded = i2i.load("hf://USER/NAME")  # or the folder or zip archive of these files',
        f'loaded.translate("photo.jpg", to="{loaded.translator.targets[-1]}").save("translated.png")',
        "```",
        "",
        "| | |",
        "|---|---|",
        f"| recipe | `{recipe.name}`, in full in `recipe.toml` |",
        f"| method | `{recipe.translator.name}` |",
        f"| training | {saved.step} of {recipe.train.steps} steps, batches of {recipe.train.batch_size} |",
        f"| data | `{recipe.data.name}`: {data}; {size} pixels |",
        f"| weights | {weights} |",
        f"| licence | {license or 'not stated'} |",
        "",
        "## Figures",
        "",
        *_table(measured),
        "",
        "## Intended use",
        "",
        intended_use or _USE,
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


def _averaged(saved: Checkpoint) -> bool:
    return bool(saved.state.get("averaged")) or (saved.folder / "ema.safetensors").exists()


def _figures(file: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["metrics"]
        return [dict(figure) for figure in found if figure.get("value") is not None]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"cannot read {file}: expected figures of `i2i evaluate --output` ({error})") from error


def _result(figure: dict[str, Any], recipe: str) -> dict[str, Any]:
    named = f"{figure['name']} ({figure['protocol']}, n={figure['n']}, step {figure.get('step')})"
    metric = {"type": figure["name"], "name": named, "value": figure["value"]}
    return {
        "task": {"type": "image-to-image"},
        "dataset": {"type": "private", "name": f"evaluation images of {recipe}"},
        "metrics": [metric],
    }


def _table(figures: Sequence[dict[str, Any]]) -> list[str]:
    if not figures:
        return ["Not evaluated."]
    rows = [
        f"| {figure['name']} | {figure['value']:.6g} | {figure['protocol']} | {figure['n']} | {figure.get('step')} |"
        for figure in figures
    ]
    return ["| figure | value | protocol | n | step |", "|---|---|---|---|---|", *rows]
