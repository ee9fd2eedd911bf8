"""The metadata of i2i and its plugins agree with their files, with CITATION.cff and with the recipes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_metadata_and_citation_name_the_same_papers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {project['version']}\nlicense: {project['license']}\n" in citation
    cited = re.findall(r'^    url: "(.+)"$', citation, re.MULTILINE)
    assert list(project["urls"].values()) == cited
    recipes = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "recipes").glob("*.toml"))
    for url in cited:
        assert f"arXiv:{url.rpartition('/')[2]}" in recipes


@pytest.mark.parametrize("folder", [ROOT, *sorted((ROOT / "plugins").glob("*/"))], ids=lambda folder: folder.name)
def test_distributions_hold_what_their_metadata_claim(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / project["readme"]).is_file()
    assert "Typing :: Typed" in project["classifiers"]
    assert (folder / project["name"].replace("-", "_") / "py.typed").is_file()
