"""The documentation is complete and true: its lists are generated, its examples run, what it refers to exists."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from i2i.builtin import COMPONENTS
from i2i.core import hookspecs, kinds
from i2i.core.plugins import Plugins
from i2i.core.signature import options
from i2i.recipe.files import shipped
from i2i.recipe.tables import TABLES, TrainOptions

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", *sorted(ROOT.glob("plugins/*/README.md"))]
ALL_PAGES = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"))]
FENCE = re.compile(r"(<!-- compiled only: .+? -->\s*)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(path: Path, language: str) -> list[tuple[bool, str]]:
    """Return the code blocks of a page: whether each is meant to run, and its text."""
    found = FENCE.findall(path.read_text(encoding="utf-8"))
    return [(not compiled_only, text) for compiled_only, of, text in found if of == language]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_generated_lists_are_up_to_date(page: Path, generate: ModuleType) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.written(text) == text, "run: uv run python docs/generate.py"


def test_every_generated_list_stands_in_a_page(generate: ModuleType) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [list_ for list_ in generate.generators() if f"<!-- generated: {list_} -->" not in text] == []


def test_lists_hold_everything(generate: ModuleType) -> None:
    lists = {list_: write() for list_, write in generate.generators().items()}
    for kind, components in COMPONENTS.items():
        assert [key for key in components if f"| `{key}` |" not in lists[f"components.{kind.name}"]] == []
    assert [key for key in options(TrainOptions) if f"| `{key}` |" not in lists["train"]] == []
    assert [
        key for key, value in vars(hookspecs).items() if hasattr(value, "i2i_spec") and f"`{key}`" not in lists["hooks"]
    ] == []
    assert [key for key in kinds.KINDS if f"| `{key}` |" not in lists["kinds"]] == []


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_a_recipe_is_documented(table: str) -> None:
    assert f"`[{table}" in (DOCS / "recipes.md").read_text(encoding="utf-8") or f"[{table}]" in (
        DOCS / "recipes.md"
    ).read_text(encoding="utf-8")


def test_every_error_of_an_output_has_a_page(generate: ModuleType) -> None:
    """Messages name outputs; each built-in translator's outputs are listed."""
    text = (DOCS / "outputs.md").read_text(encoding="utf-8")
    assert [key for key in COMPONENTS[kinds.TRANSLATOR] if f"\n## {key}\n" not in text] == []


def test_every_page_is_reached() -> None:
    """Each page stands in the navigation of the site, or is linked from its first page; no others are named."""
    navigation = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", (DOCS / "README.md").read_text(encoding="utf-8")))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(pages - navigation - linked) == []
    assert sorted(navigation - pages) == []


def test_every_public_name_is_in_the_reference() -> None:
    """The pages of the Python API have a directive for each public class and function, or for its module."""
    directives = {
        target
        for page in (DOCS / "api").glob("*.md")
        for target in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    public = [getattr(i2i, name) for name in i2i.__all__ if name != "__version__"]
    places = {f"{value.__module__}.{value.__qualname__}" for value in public if hasattr(value, "__qualname__")}
    assert len(places) > 20
    covered = {place for place in places if place in directives or place.rpartition(".")[0] in directives}
    assert sorted(places - covered) == []


@pytest.mark.parametrize("page", ALL_PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def anchors(path: Path) -> list[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", ALL_PAGES, ids=name)
def test_files_and_tests_that_pages_name_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/-])((?:i2i|tests|plugins|benchmarks|recipes|docs)/[\w./-]+\.(?:py|toml|md))", text)
    roots = [ROOT, *([page.parent] if page.parent.parent.name == "plugins" else [])]
    assert [file for file in named if not any((root / file).exists() for root in roots)] == []


@pytest.mark.parametrize("page", ALL_PAGES, ids=name)
def test_tables_are_whole(page: Path) -> None:
    """Every row of a table has as many cells as its head."""
    broken = []
    width = 0
    for line in re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        if cells and width and cells != width:
            broken.append(line)
        width = cells
    assert broken == []


TOML = [(page, text) for page in PAGES for _, text in fences(page, "toml")]


@pytest.mark.parametrize(
    ("page", "text"), TOML, ids=[f"{name(page)}-{number}" for number, (page, _) in enumerate(TOML)]
)
def test_toml_examples_are_recipes(page: Path, text: str, tmp_path: Path) -> None:
    values = tomllib.loads(text)
    if "project" in values:
        return
    if "plugins" in page.parts or "tutorials" in page.parts or page.name in PLUGIN_PAGES:
        return  # checked by the tests of that plugin, and of tutorials by test_documented_commands.py
    if "extends" not in values and "optimizers" not in values:
        text = f'extends = "{BASES.get(page.name, "ugatit_light")}"\n{text}'
    path = tmp_path / "example.toml"
    path.write_text(text, encoding="utf-8")
    i2i.Recipe.read(path)


BASES = {"cut.md": "cut", "data.md": "cyclegan", "munit.md": "munit", "cyclegan.md": "cyclegan"}
"""Recipes that examples of a few tables belong to."""
PLUGIN_PAGES = ("plugins.md", "style.md", "drit.md", "cartoongan.md", "twingan.md", "dtn.md", "stargan2.md")


def test_plugin_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin, exactly as the page has it, is checked, trained and used, and is as short as promised."""
    lines = 0
    for _, text in fences(DOCS / "plugins.md", "python"):
        if file := re.match(r"# (i2i_aerial/\w+\.py)\n", text):
            path = tmp_path / file[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            lines += code_lines(text)
    assert 100 < lines < 130
    recipe_file = tmp_path / "aerial.toml"
    recipe_file.write_text(
        next(text for _, text in fences(DOCS / "plugins.md", "toml") if "masked_l1" in text), "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugins = Plugins({"aerial": importlib.import_module("i2i_aerial")})
    assert [info.problem for info in plugins.found] == ["", ""]
    recipe = i2i.Recipe.read(recipe_file, registry=plugins.registry)
    before = i2i.Stepper(recipe).translator.edges.weight.clone()
    run = i2i.train(recipe, tmp_path / "run", plugins=plugins)
    assert run.step == 6
    assert torch.equal(run.translator.edges.weight, before)
    assert next(run.translator.generator.parameters()).shape[1] == 5
    assert run.translator.translate(torch.zeros(1, 5, 32, 40), "b").image.shape == (1, 3, 32, 40)
    group = click.Group()
    plugins.register_commands(group)
    assert "translate-bands" in group.commands


def test_tutorial_of_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set of the page is ten statements, reads masks as promised, and trains a recipe that weights by them."""
    (text,) = (text for _, text in fences(DOCS / "data.md", "python") if "class Masked" in text)
    (class_,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    assert code_lines(ast.unparse(class_)) <= 11
    (tmp_path / "masked.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for folder in ("trainA", "trainB", "masks"):
        (tmp_path / folder).mkdir()
        for number in range(3):
            half = np.zeros((24, 24), np.uint8)
            half[:, 12:] = 255
            image = Image.fromarray(half) if folder == "masks" else Image.fromarray(half).convert("RGB")
            image.save(tmp_path / folder / f"{number}.png")

    class Hooks:
        @i2i.hookimpl
        def register_components(self, registry: Any) -> None:
            registry.add(i2i.DATASET, "masked", "masked:Masked")

    data = {"type": "masked", "root": str(tmp_path), "masks": str(tmp_path / "masks"), "size": 16, "margin": 8}
    (losses,) = (text for _, text in fences(DOCS / "data.md", "toml") if 'only = "b"' in text)
    settings = {"data": data, "losses.background": tomllib.loads(losses)["losses"]["background"], "train.steps": 1}
    settings |= {"translator.generator.channels": 4, "translator.discriminators.local.layers": 3, "train.workers": 0}
    plugins = Plugins({"masked": Hooks()})
    recipe = i2i.Recipe.read("cyclegan_small", settings, registry=plugins.registry)
    sample = recipe.data(seed=0)[0]
    assert torch.allclose((sample["a"][:1] + 1) / 2, sample["mask_a"], atol=2 / 255)
    assert i2i.train(recipe, tmp_path / "run", plugins=plugins).step == 1


def code_lines(text: str) -> int:
    """Count lines that are no comments, no docstrings and not blank."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            documented |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in documented for number, line in lines
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what examples expect: a trained run and a photo."""
    folder = tmp_path_factory.mktemp("examples")
    small = {"translator.generator.channels": 8, "translator.generator.blocks": 1, "train.steps": 1, "train.workers": 0}
    small |= {f"translator.discriminators.{part}.channels": 8 for part in ("global_", "local")}
    small |= {"data.type": "shapes", "data.size": 96}
    i2i.train(i2i.Recipe.read("ugatit_light", small), folder / "runs" / "ugatit_light")
    Image.fromarray(np.zeros((64, 48, 3), np.uint8)).save(folder / "selfie.jpg")
    return folder


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.thorough] * (name(page) == "docs/python.md"))
        for page in PAGES
        if fences(page, "python")
    ],
    ids=name,
)
def test_python_examples_run(page: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All examples of a page, one after another in one namespace; the plugin tutorial has a test of its own."""
    monkeypatch.chdir(workplace)
    torch.manual_seed(0)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    examples = doctest.DocTestParser()
    for runs, text in fences(page, "python"):
        if text.lstrip().startswith(">>>"):
            test = examples.get_doctest(text, namespace, name(page), str(page), 0)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            runner.run(test, clear_globs=False)
            namespace.update(test.globs)
            assert runner.failures == 0
            continue
        code = compile(text, name(page), "exec")
        if runs and page.name not in PLUGIN_PAGES and not {"plugins", "tutorials"} & set(page.parts):
            exec(code, namespace)


def test_recorded_exports_are_of_shipped_recipes() -> None:
    """The page names those that are shipped and not recorded, so that none is left out without a word."""
    recorded = set(json.loads((ROOT / "docs" / "exports.json").read_text("utf-8")))
    assert recorded <= set(shipped([ROOT / "recipes", *ROOT.glob("plugins/*/*/recipes")]))
    assert len(recorded) > 10
