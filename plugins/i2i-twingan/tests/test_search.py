"""Search by cosine similarity across domains, from Python and the command line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

pytest.importorskip("i2i_twingan", reason="the plugin i2i-twingan is not installed")

from i2i_twingan.search import embed, encode, mean_cosine, nearest, neighbours

import i2i
from i2i.data.images import to_image
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.errors import I2IError
from i2i.methods.assembly import build
from i2i.recipe.recipe import Recipe
from i2i.use.loaded import Loaded

COUNT = 8


@pytest.fixture
def pairs(tmp_path: Path) -> dict[str, Path]:
    """Folders of blocks, red as a and blue as b: those of `a/03.png` and `b/03.png` have the same place."""
    for domain, colour in (("a", (0.8, -0.6, -0.8)), ("b", (-0.9, -0.4, 0.6))):
        (tmp_path / domain).mkdir()
        for number in range(COUNT):
            image = torch.full((3, 16, 16), -0.9)
            top, left = 8 * (number // 4), 4 * (number % 4)
            image[:, top : top + 4, left : left + 4] = torch.tensor(colour).view(3, 1, 1)
            to_image(image).save(tmp_path / domain / f"{number:02}.png")
    return {domain: tmp_path / domain for domain in "ab"}


def saved_run(tiny: dict[str, Any], folder: Path) -> Path:
    """Save a run whose encoder computes the brightness at each place, which does not depend on the domain."""
    recipe = Recipe.read("twingan_small", tiny | {"translator.stages": [{"size": 16, "stable": 1}]})
    run = Run(folder, recipe, Stepper(recipe), dataset=None)
    generator = run.translator.generator
    with torch.no_grad():
        generator.from_rgb["16"].conv.weight.fill_(1.0)  # grey
        for convs in generator.down.values():
            for conv in convs:
                torch.nn.init.dirac_(conv.conv.weight)
        for conv in (module for module in generator.modules() if hasattr(module, "pixel_norm")):
            conv.pixel_norm = None
    run.save()
    return folder


def test_nearest_returns_the_largest_cosines() -> None:
    draws = torch.Generator().manual_seed(0)
    queries, among = (torch.nn.functional.normalize(torch.randn(n, 7, generator=draws)) for n in (3, 5))
    cosines, indices = nearest(queries, among, 2)
    for query, row in enumerate(indices.tolist()):
        by_hand = sorted(range(5), key=lambda i: -float(torch.cosine_similarity(queries[query], among[i], dim=0)))
        assert row == by_hand[:2]
    assert (cosines[:, 0] >= cosines[:, 1]).all()
    assert nearest(queries, among, 99)[1].shape == (3, 5)


def test_mean_cosine() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(5, 7, generator=torch.Generator().manual_seed(0)))
    by_hand = [float(vectors[i] @ vectors[j]) for i in range(5) for j in range(5) if i != j]
    assert mean_cosine(vectors) == pytest.approx(sum(by_hand) / 20, abs=1e-6)
    assert mean_cosine(vectors[:1]) == 0


def test_encode_returns_latents_of_length_1(tiny: dict[str, Any], images: dict[str, Tensor]) -> None:
    recipe = Recipe.read("twingan_small", tiny)
    loaded: Any = Loaded(recipe, build(recipe).eval(), 0)
    vectors = encode(loaded, images["a"], "a")
    assert vectors.shape == (2, 6 * 4 * 4)
    latent = loaded.translator.generator.encode(loaded.translator.network_input(images["a"]), "a").latent.flatten(1)
    torch.testing.assert_close(vectors, (latent / latent.norm(dim=1, keepdim=True)).detach())


def test_search_finds_the_pair_across_domains(tiny: dict[str, Any], pairs: dict[str, Path], tmp_path: Path) -> None:
    loaded = i2i.load(saved_run(tiny, tmp_path / "run"), device="cpu")
    files = {domain: sorted(folder.iterdir()) for domain, folder in pairs.items()}
    queries = embed(loaded, files["a"], "a", batch_size=3)
    rows, selected = neighbours(queries, embed(loaded, files["b"], "b"), 1)
    assert [row.image.name for row in rows] == [row.query.name for row in rows]
    assert selected == [[number] for number in range(COUNT)]
    others, _ = neighbours(queries, queries, 1)  # an image is not its own neighbour
    assert all(row.image != row.query for row in others)


def run_command(*arguments: object) -> int:
    from i2i.cli import run

    return run([str(argument) for argument in ("search", *arguments)])


def test_the_command(
    tiny: dict[str, Any],
    pairs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = saved_run(tiny, tmp_path / "run")
    (pairs["b"] / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    assert run_command(run, pairs["a"], "--among", pairs["b"], "--top", 2, "--output", out) == 0
    printed = capsys.readouterr()
    assert "skipped: cannot read" in printed.err
    assert "hardly differ" not in printed.err
    assert f"8 searched among 8: {out}/neighbours.csv" in printed.out
    assert printed.out.splitlines()[0].split() == ["query", "rank", "cosine", "image"]
    with (out / "neighbours.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * COUNT
    assert all(Path(row["image"]).name == Path(row["query"]).name for row in rows if row["rank"] == "1")
    assert all(
        float(first["cosine"]) >= float(second["cosine"]) for first, second in zip(rows[::2], rows[1::2], strict=True)
    )
    with Image.open(out / "neighbours.png") as grid:
        assert grid.width > COUNT * 16
    assert sorted(path.name for path in out.iterdir()) == ["neighbours.csv", "neighbours.png"]
    for path in pairs["b"].iterdir():  # all images are equal
        path.write_bytes((pairs["a"] / "00.png").read_bytes())
    assert run_command(run, pairs["a"], "--among", pairs["b"], "--output", out) == 0
    assert f"warning: {run}'s latents hardly differ between images" in capsys.readouterr().err
    back = (run, pairs["b"] / "03.png", "--domain", "b", "--among", pairs["a"], "--output", out)
    assert run_command(*back) == 0
    assert "1 searched among 8" in capsys.readouterr().out


def test_user_errors(
    tiny: dict[str, Any],
    pairs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = saved_run(tiny, tmp_path / "run")
    for arguments, message in (
        ((run, "gone.png", "--among", pairs["b"]), "gone.png does not exist; expected images or folders of images"),
        ((run, pairs["a"], "--among", tmp_path / "c"), f"folder {tmp_path / 'c'} does not exist"),
        ((run, pairs["a"], "--among", pairs["b"], "--domain", "c"), "knows no domain 'c'; domains: a, b"),
        ((tmp_path / "none", pairs["a"], "--among", pairs["b"]), "does not exist; give a run folder or one of its"),
    ):
        assert run_command(*arguments, "--output", tmp_path / "out") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_translator_without_a_shared_latent_is_refused(images: dict[str, Tensor]) -> None:
    recipe = Recipe.read("ugatit_small", {"translator.generator.channels": 4, "translator.generator.blocks": 1})
    with pytest.raises(I2IError, match="ugatit_small: this translator has no latent that both domains share"):
        encode(Loaded(recipe, build(recipe).eval(), 0), images["a"], "a")


def test_unit_has_a_latent_that_can_be_searched() -> None:
    small = {"translator.generator.channels": 4, "translator.generator.blocks": 1}
    recipe = Recipe.read("unit_small", small)
    assert encode(Loaded(recipe, build(recipe).eval(), 0), torch.rand(2, 3, 32, 32), "b").shape == (2, 8 * 16 * 16)
