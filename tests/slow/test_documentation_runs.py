"""The shell and Python blocks of every page run as they are written, with small data, runs and networks.

Each page has a folder of its own in which its blocks run in order. What a reader has beforehand is provided when a
block first names it: images, folders of images in the layout that the recipe reads, clips, and runs of a recipe,
trained for a step. Trainings get few channels and steps. `NOT_RUN` names what is not run, and why.
"""

from __future__ import annotations

import doctest
import os
import re
import runpy
import shlex
import shutil
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from i2i.cli import run as run_command
from i2i.core.plugins import default_plugins
from i2i.data.pixels import to_image
from i2i.demo.portraits import Portraits
from i2i.recipe.files import read as read_source
from i2i.recipe.files import shipped
from i2i.recipe.recipe import Recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("all_plugins")]
ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", *sorted(ROOT.glob("plugins/*/README.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$|((?:^    .*\n)+)", re.MULTILINE | re.DOTALL)
SHELL = ("", "bash", "sh", "console")
PROGRAMS = ("i2i", "pip", "uv", "python", "torchrun", "accelerate", "curl", "find")
NOT_RUN = {
    r"^(pip|uv) ": "changes the environment; .ci/run and tests/slow/test_quickstart.py install and train",
    r"^python (-m pytest|benchmarks|train\.py|main\.py)": "tests, measurements, and other codes' command lines",
    r"^(accelerate|torchrun) ": "starts processes; tests/engine/test_two_processes.py and tests/cli/test_bulk.py do so",
    r"^curl ": "needs a running server; tests/use/serving sends the same requests",
    r"^find ": "lists files of a longer training",
    r"^i2i (serve|demo) ": "runs until it is stopped; tests/use/serving starts the same server",
    r"^i2i import ": "needs weights of an official code; each importer's tests read files in its layout",
    r"export-rosinality": "needs imported weights; plugins/i2i-stylegan/tests compares both ways",
    r"hf://|s3://|^i2i push|^i2i data get|^i2i weights add|inception=": "network; tests meet a server on loopback",
    r"\.(pth|pt|pkl|npz|ckpt)\b|runs/(vox|imported|hayao|selfie2anime|official)": "needs an official code's weights",
    r"\.\.\.|\bRUN\b|\[OPTIONS\]|^i2i (command|--)": "a form, not a command",
    r"^i2i sweep|^i2i animate runs/vox|^i2i data check .*--sheet": "minutes; tests of these commands lie with them",
    r"translate-bands|aerial": "of the plugin that the page builds; tests/test_documented.py runs it",
    r"runs/(first|second)": "needs runs with several checkpoints; tests/cli/test_looking.py compares two",
    r"chain\.toml": "needs three trained plugins; plugins/i2i-fomm/tests run the chain",
    r"labelled|mask\.png|smile\.safetensors|--mapper|text-mapper": "follows work by hand; plugins/i2i-edit/tests",
}
"""Patterns of commands that are not run, and why."""
NO_PYTHON = {
    "plugins.md": "modules of one package; tests/test_documented.py builds and uses it",
    "editing.md": "opens vectors that a reader has saved; plugins/i2i-edit/tests",
    "masks.md": "follows a work by hand; plugins/i2i-edit/tests",
    "twingan.md": "names a reader's tensors; plugins/i2i-twingan/tests",
    "data.md": "a data set for a plugin; tests/test_documented.py builds and uses it",
}
"""Pages whose Python blocks are not run here, and why."""
RUNS = {
    "portraits": "stylegan2_portraits32",
    "anime": "cyclegan_small",
    "my_recipe": "cyclegan_small",
    "cyclegan": "cyclegan_small",
    "horse2zebra": "cyclegan_small",
    "other": "cyclegan_small",
    "super_resolution": "super_resolution_small",
    "adain_style": "adain_style_small",
    "fast_style": "fast_style_small",
    "dclgan": "cyclegan_small",
    "unit": "unit_small",
    "munit": "munit_small",
    "nicegan": "nicegan_small",
    "stargan2": "stargan2_small",
    "twingan": "twingan_small",
    "cartoongan": "cartoongan_small",
    "drit": "drit_small",
    "paints": "paints_small",
    "cut": "cut_small",
    "sincut": "sincut_small",
    "giraffe": "cyclegan_small",
    "ugatit_light": "ugatit_small",
}
"""Small recipes of runs that pages name; others are runs of the recipe of that name."""
FAILS = ("broken.toml", "adalinn", "check ugatit --set data.size=64", "check drit --set data.size=208")
"""Commands whose error the page shows."""
READ = r"[\w./-]+\.(png|jpg|mp4|csv)|(photos|images|album|shards|IMAGES|testA|testB|translated|horse2zebra)(/\w+)?"
"""Files and folders that commands read."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(block: str) -> Iterator[str]:
    """Yield the command lines of a block, without prompts, outputs and comments."""
    lines = block.replace("\\\n", " ").splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    for line in prompted or [line for line in lines if line.split(" ")[0] in PROGRAMS]:
        yield from (part.strip() for part in line.split(" && "))


def put_images(folder: Path, count: int = 24, side: int = 48, paired: bool = False) -> None:
    """Write drawn portraits to a folder: of domain a, or both domains side by side."""
    drawn = Portraits(size=side, count=count)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        images = [np.asarray(to_image(drawn[number][domain])) for domain in ("ab" if paired else "a")]
        Image.fromarray(np.concatenate(images, 1)).save(folder / f"{number:03}.png")


def put_data(path: Path, recipe: str, side: str) -> None:
    """Write the images that a setting of a recipe names, in the layout that its data set reads."""
    if path.suffix in (".png", ".jpg"):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = to_image(Portraits(size=96, count=2)[0]["a"])
        if path.stem == "dabs":
            image.putalpha(Image.new("L", image.size))
            image.putpixel((40, 40), (200, 30, 30, 255))
        image.save(path)
    elif path.suffix == ".zip":
        put_data(path.with_suffix(""), recipe, side)
        shutil.make_archive(str(path.with_suffix("")), "zip", path.with_suffix(""))
    elif path.suffix in (".mp4", ".webm"):
        from i2i.use.clip_writer import ClipWriter

        frames = Portraits(size=64, count=6)
        with ClipWriter(path, 5) as writer:
            for number in range(6):
                writer.write(np.asarray(to_image(frames[number]["a"])))
    elif path.suffix == ".csv":
        labels = ["canvas", "leather"]
        rows = [f"{number:03}.png,{labels[number % 2]}" for number in range(24)]
        path.write_text("\n".join(["file,label", *rows]) + "\n", "utf-8")
    elif side == "root" and recipe.startswith("pix2pix"):
        for split in ("train", "val"):
            put_images(path / split, paired=True)
    elif side == "root" and recipe.startswith("stargan2"):
        for domain in ("photo", "anime", "sketch", "cat", "dog", "wild"):
            put_images(path / "train" / domain, 12)
    elif side == "root" and recipe.startswith(("cyclegan_masked",)):
        for part in "AB":
            put_images(path / f"train{part}")
            for file in (path / f"train{part}").iterdir():
                image = Image.open(file).convert("RGBA")
                image.putalpha(Image.new("L", image.size, 255))
                image.save(file)
    elif side == "root" and recipe.startswith(("paints", "super_resolution", "stylegan", "cips3d")):
        put_images(path / "train")
    elif side == "root":
        for part in ("trainA", "trainB", "testA", "testB"):
            put_images(path / part)
    else:
        put_images(path)


def shorten(recipe: str, given: list[str], folders: list[Path]) -> list[str]:
    """Return settings that make a training of a recipe, with the given settings, take seconds."""
    steps = [
        "train.steps=2",
        "train.epochs=none",
        "train.workers=0",
        "train.sample_every=0",
        "train.checkpoint_every=2",
    ]
    resolved = read_source(recipe, [*given, "train.epochs=none", "train.steps=2"], folders)
    table = Recipe.check(resolved, default_plugins().registry).translator.resolved()
    narrowed = NARROW(table, "translator")
    if "taps" in table:  # blocks are named there
        narrowed = {key: value for key, value in narrowed.items() if not key.endswith(".blocks")}
    widths = [f"{key}={value}" for key, value in narrowed.items()]
    return [*steps, *widths]


NARROW = runpy.run_path(str(ROOT / "benchmarks" / "exports.py"))["narrow"]


def options_of(words: list[str]) -> list[str]:
    """Return the values of `--set` in a command."""
    return [value for option, value in pairwise(words) if option == "--set"]


def put_recipe(path: Path, first: str = "") -> None:
    """Write a reader's own recipe with its data, unless there is one.

    Args:
        path: the file.
        first: lines before its tables.
    """
    if path.exists():
        return
    path.write_text(f'{first}extends = "ugatit"\n[data]\na = "photos/selfie"\nb = "photos/anime"\n', "utf-8")
    for folder in (Path("photos/selfie"), Path("photos/anime")):
        if not folder.exists():
            put_data(folder, path.stem, "a")


def train(words: list[str]) -> list[str]:
    """Return the words of a training command, shortened, with its data provided."""
    folders = default_plugins().recipe_folders()
    short = ("--size", "--steps", "--epochs", "--batch-size")
    words = [word for n, word in enumerate(words) if word not in short and (not n or words[n - 1] not in short)]
    given = options_of(words)
    recipe = words[1] if not words[1].startswith("-") else ""
    stem = recipe.removesuffix(".toml").split("/")[-1]
    for setting in given:
        key, _, value = setting.partition("=")
        roots = re.findall(r'root = "(.*?)"', value) or [value]
        if key in ("data.a", "data.b", "data.root", "data.mask_a", "data.mask_b", "data.labels", "data"):
            for root in roots:
                if not Path(root).exists():
                    put_data(Path(root), stem, "root" if key in ("data.root", "data") else key)
        if key == "train.init":
            provide_run(value, recipe, [setting for setting in given if setting.startswith("data.")])
    if "--resume" in words:
        provide_run(words[words.index("--resume") + 1])
        kept = [f"train.steps={step + 2}" for step in [i2i.load(words[words.index("--resume") + 1], device="cpu").step]]
        return [*words, *(word for setting in kept for word in ("--set", setting))]
    if recipe.endswith(".toml"):
        put_recipe(Path(recipe))
    settings = shorten(recipe, given, folders)
    return [*words, *(word for setting in settings for word in ("--set", setting))]


def provide_run(path: str, recipe: str = "", settings: Iterable[str] = ()) -> None:
    """Train the run that a command names for a step, unless a command before has made it.

    Args:
        path: folder of the run.
        recipe: what it is trained with, when a later training begins with its weights.
        settings: the data of that training.
    """
    folder = Path(path)
    if folder.exists():
        return
    if not recipe:
        known = shipped(default_plugins().recipe_folders())
        recipe = RUNS.get(folder.name, folder.name)
        recipe = f"{recipe}_small" if f"{recipe}_small" in known else recipe
    more = [word for setting in settings for word in ("--set", setting)]
    assert run_command(train(["train", recipe, *more, "--output", path])) == 0


def provide(words: list[str]) -> None:
    """Make the files and runs that a command reads."""
    for word in words[1:]:
        value = word.partition("=")[2] if re.fullmatch(r"\w+=[\w./]+", word) else word
        for one in re.split(r",|=", value):
            if re.fullmatch(r"runs/\w+", one):
                provide_run(one)
            elif re.fullmatch(READ, one) and not written(words, word) and not Path(one).exists():
                put_data(Path(one), "", "root" if one == "horse2zebra" else "a")


def written(words: list[str], word: str) -> bool:
    """Return whether a word of a command is what it writes."""
    return words[words.index(word) - 1].startswith(("--output", "--save"))


def run_line(line: str) -> bool:
    """Run a command; return whether it was run."""
    if any(re.search(pattern, line) for pattern in NOT_RUN):
        return False
    words = shlex.split(line, comments=True)[1:]
    provide([word for word in words if not word.startswith("--set")] if words[0] != "train" else [])
    if words[0] == "train":
        words = train(words)
    elif words[0] == "project":
        words += ["--steps", "2"]
    expected = 2 if any(part in line for part in FAILS) else 0
    if words[0] == "check" and words[1].endswith(".toml"):
        put_recipe(Path(words[1]), "nothing = 1\n" if expected else "")
    for setting in options_of(words) if words[0] in ("check", "plan") else []:
        key, _, value = setting.partition("=")
        if key in ("data.a", "data.b", "data.root") and not Path(value).exists():
            put_data(Path(value), words[1], "root" if key == "data.root" else key)
    assert run_command(words) == expected, line
    return True


def chosen() -> list[Path]:
    """Return the pages to run: all, or those of I2I_PAGES, with commas between them.

    Tutorials are run by tests/test_documented_commands.py.
    """
    pages = {name(page): page for page in PAGES if "tutorials" not in page.parts}
    asked = os.environ.get("I2I_PAGES")
    return [pages[one] for one in asked.split(",")] if asked else list(pages.values())


@pytest.mark.parametrize("page", chosen(), ids=name)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page succeed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    torch.set_num_threads(1)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    failed = []
    for language, block, indented in BLOCK.findall(page.read_text("utf-8")):
        text = block or re.sub("^    ", "", indented, flags=re.MULTILINE)
        try:
            if language == "python" and page.name not in NO_PYTHON:
                run_python(text, namespace)
            elif language in SHELL:
                for line in commands(text):
                    try:
                        run_line(line)
                    except Exception as error:  # the other lines of the page are run all the same
                        failed.append(f"{line}: {type(error).__name__}: {error}")
        except Exception as error:
            failed.append(f"{text.splitlines()[0]} ...: {type(error).__name__}: {error}")
    assert failed == []


def run_python(text: str, namespace: dict[str, Any]) -> None:
    """Run one block of Python in the namespace of its page, with the runs and images that it names."""
    for path in re.findall(r'"(runs/\w+)"', text):
        if "i2i.train" not in text:
            provide_run(path)
    for path in re.findall(r'"([\w./-]+\.(?:png|jpg))"', text):
        if not Path(path).exists():
            put_data(Path(path), "", "a")
    if text.lstrip().startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(text, namespace, "page", None, 0)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, clear_globs=False)
        namespace.update(test.globs)
        assert runner.failures == 0
    else:
        exec(compile(text, "page", "exec"), namespace)


def test_reasons_are_needed() -> None:
    """Every reason of `NOT_RUN` belongs to a command of some page."""
    lines = [
        line
        for page in PAGES
        for language, block, indented in BLOCK.findall(page.read_text("utf-8"))
        if language in SHELL
        for line in commands(block or re.sub("^    ", "", indented, flags=re.MULTILINE))
    ]
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, line) for line in lines)] == []
