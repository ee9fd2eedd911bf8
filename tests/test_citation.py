"""What the package says about itself in its metadata, in CITATION.cff and in its recipes agrees."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

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
