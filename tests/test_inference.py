"""Loading a run and translating tensors, images, arrays and files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from official_figures import read
from official_networks import official_checkpoint
from PIL import Image
from torch import Tensor

import i2i
from i2i.core.plugins import Plugins
from i2i.data.pixels import PixelFormat
from i2i.engine import checkpoint
from i2i.engine.importing import write_run
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.engine.trainer import train
from i2i.errors import CheckpointError, I2IError, ShapeError
from i2i.methods.weights.ugatit import ugatit_pytorch
from i2i.nn.functional.whole_image import whole_image
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import RecipeError
from i2i.use.padding import reflect_to


@pytest.fixture(scope="module")
def run(tiny_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light run of no steps, for tests to read."""
    return write(Recipe.read("ugatit_small", tiny_settings), tmp_path_factory.mktemp("light"))


@pytest.fixture(scope="module")
def full_run(tiny_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the full generator, which is bound to 32 px, for tests to read."""
    settings = {**tiny_settings, "translator.generator.light": False}
    return write(Recipe.read("ugatit_small", settings), tmp_path_factory.mktemp("full"))


def write(recipe: Recipe, folder: Path) -> Path:
    Run(folder, recipe, Stepper(recipe), dataset=None).save()
    return folder


def random_image(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_a_run_of_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    class Plugin:
        @staticmethod
        @i2i.hookimpl
        def register_components(registry: Any) -> None:
            registry.add(i2i.NORM, "frn", "torch.nn:InstanceNorm2d")

    settings = {"data.size": 16, "translator.generator": {"channels": 4, "blocks": 1, "norm": "frn"}}
    write(Recipe.read("cyclegan_small", settings, registry=Plugins({"frn": Plugin}).registry), tmp_path / "run")
    with pytest.raises(RecipeError) as caught:
        i2i.load(tmp_path / "run", device="cpu")
    first, last = str(caught.value).splitlines()
    assert "translator.generator.norm.type: unknown norm 'frn'. Registered: bn, " in first
    assert last.startswith(
        f"{tmp_path / 'run'}: made with a component of a plugin that is not installed; `i2i plugins`"
    )


def test_a_tensor_is_taken_as_it_is(run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    batch = torch.rand(2, 3, 40, 24) * 2 - 1
    made = loaded.translate(batch, to="b")
    assert made.shape == batch.shape
    generator = loaded.translator.get_submodule("generators.b")
    assert torch.equal(made, generator(batch).image)
    assert torch.equal(loaded.translate(batch[0], to="b"), loaded.translate(batch[:1], to="b")[0])


def test_half_precision_is_near(run: Path) -> None:
    batch = torch.rand(2, 3, 32, 32) * 2 - 1
    exact = i2i.load(run, device="cpu").translate(batch)
    half = i2i.load(run, device="cpu", precision="bf16")
    made = half.translate(batch)
    assert made.dtype == torch.float32
    assert 0 < (made - exact).abs().mean() < 0.02
    assert (half.translate(batch.double()).float() - made).abs().max() < 0.1  # from the same rounded weights


@pytest.mark.thorough
def test_tiles_give_the_same_image(run: Path, full_run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    image = random_image(260, 212)
    whole = np.asarray(loaded.translate(image, size="original")).astype(int)
    tiled = np.asarray(loaded.translate(image, size="original", tile=204)).astype(int)
    assert abs(whole - tiled).max() <= 1
    with pytest.raises(I2IError, match="tile: this translator's networks take only whole images of one size"):
        i2i.load(full_run, device="cpu").run(torch.rand(1, 3, 64, 64), "b", tile=32)


def test_the_two_directions_differ(run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    batch = torch.rand(1, 3, 32, 32)
    assert not torch.equal(loaded.translate(batch, to="a"), loaded.translate(batch, to="b"))


def test_images_go_through_the_recipes_preprocessing(run: Path, tmp_path: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    image = random_image(60, 90)
    image.save(tmp_path / "image.png")
    made = loaded.translate(image)
    assert made.size == (32, 48)  # the shorter side at the recipe's size, the aspect kept
    assert np.array_equal(np.asarray(loaded.translate(tmp_path / "image.png")), np.asarray(made))
    assert np.array_equal(loaded.translate(np.asarray(image)), np.asarray(made))
    assert loaded.translate(image, size=40).size == (40, 60)
    assert loaded.translate(image, size="original").size == (60, 90)  # padded to 92 and cropped


def test_a_full_generator_is_bound_to_its_size(full_run: Path) -> None:
    loaded = i2i.load(full_run, device="cpu")
    assert loaded.translate(random_image(60, 90)).size == (32, 32)
    with pytest.raises(I2IError, match="this translator takes only 32 x 32 pixels"):
        loaded.translate(random_image(60, 90), size=64)
    with pytest.raises(I2IError, match="expected images of 32 x 32, the size it was built for, got 64 x 64"):
        loaded.translate(torch.zeros(1, 3, 64, 64))


def test_what_cannot_be_translated_is_refused(run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    with pytest.raises(I2IError, match="no domain 'c'; domains: a, b"):
        loaded.translate(torch.zeros(1, 3, 32, 32), to="c")
    with pytest.raises(I2IError, match=r"expected a float tensor in \[-1, 1\], got torch.uint8"):
        loaded.translate(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(I2IError, match=r"expected an array \[H, W\] or \[H, W, C\] of integers or floats, got \[32\]"):
        loaded.translate(np.zeros(32))
    with pytest.raises(I2IError, match=r"it has 5 channels, where data.channels asks for 3"):
        loaded.translate(np.zeros((32, 32, 5)))


def test_float64_is_computed_in_float64(run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    batch = torch.rand(1, 3, 32, 32)
    single, double = loaded.translate(batch), loaded.translate(batch.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-5)
    assert not torch.equal(double, double.float().double())


def test_averaged_weights_are_used_where_there_are_any(tiny: dict[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("ugatit_small", tiny | {"train.ema": 0.5, "optimizers.generator.lr": 0.01})
    stepper = Stepper(recipe)
    stepper.step({domain: torch.rand(1, 3, 32, 32) for domain in "ab"})
    Run(tmp_path, recipe, stepper, dataset=None).save()
    batch = torch.rand(1, 3, 32, 32)
    averaged, last = i2i.load(tmp_path, "cpu"), i2i.load(tmp_path, "cpu", averaged=False)
    assert averaged.step == 1
    assert not torch.equal(averaged.translate(batch), last.translate(batch))
    with stepper.eval_mode() as translator, torch.no_grad():
        torch.testing.assert_close(averaged.translate(batch), translator.translate(batch, "b").image)


def test_a_missing_or_damaged_run_says_so(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere does not exist; give a run folder"):
        i2i.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty holds no checkpoint"):
        i2i.load(tmp_path / "empty")
    run = Path(shutil.copytree(run, tmp_path / "run"))
    weights = checkpoint.listed(run)[0] / checkpoint.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"is damaged: wrong checksum of translator\.safetensors"):
        i2i.load(run)
    weights.unlink()
    with pytest.raises(CheckpointError, match="is damaged: FileNotFoundError"):
        i2i.load(run)


def official(golden: Path, variant: str, folder: Path) -> i2i.use.loaded.Loaded:
    """A run of the weights that the official implementation had trained."""
    imported = ugatit_pytorch(official_checkpoint(golden, "ugatit", f"traj_{variant}", folder.parent / "official"))
    size = read(golden / "ugatit", f"traj_{variant}_init").config["img_size"]
    write_run(imported, folder, [f"data.size={size}", "data.type=portraits", "train.workers=0"])
    return i2i.load(folder, device="cpu")


@pytest.mark.thorough
@pytest.mark.parametrize("variant", ["light", "full"])
def test_an_official_checkpoint_translates(golden: Path, variant: str, tmp_path: Path) -> None:
    loaded = official(golden, variant, tmp_path / "run")
    image = read(golden / "ugatit", f"traj_{variant}_batches").tensor("real_A/0")
    generator = loaded.translator.get_submodule("generators.b")
    assert torch.equal(loaded.translate(image), generator(image).image)


@pytest.mark.thorough
def test_an_official_checkpoint_trains_on(golden: Path, tmp_path: Path) -> None:
    loaded = official(golden, "light", tmp_path / "run")
    recipe = Recipe.read(tmp_path / "run" / "recipe.toml", [f"train.steps={loaded.step + 1}", "train.sample_every=0"])
    trained = train(recipe, tmp_path / "run", checkpoint.find(tmp_path / "run"))
    assert trained.step == loaded.step + 1
    before, after = loaded.translator.state_dict(), trained.translator.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "P", "CMYK", "exif"])
def test_images_in_memory_are_read_like_files(run: Path, tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.tif" if mode in ("I;16", "CMYK") else "image.png")
    image = random_image(60, 90)
    if mode == "exif":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    elif mode == "I;16":
        Image.fromarray(np.random.default_rng(0).integers(0, 65536, (90, 60), dtype=np.uint16)).save(path)
    else:
        converted = image.convert(mode)
        if mode == "RGBA":
            converted.putalpha(100)
        converted.save(path)
    loaded = i2i.load(run, device="cpu")
    with Image.open(path) as opened:
        assert torch.equal(loaded.prepare(opened), loaded.resize(PixelFormat().read(path)))


def test_sizes_and_inputs_that_make_no_sense_are_refused(run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    for size in (0, -8, 7, "big"):
        with pytest.raises(I2IError, match=r'expected a size of at least 8 pixels or "original", got'):
            loaded.translate(random_image(40, 40), size=size)
    with pytest.raises(I2IError, match="a tensor is not resized"):
        loaded.translate(torch.zeros(1, 3, 32, 32), size=32)
    with pytest.raises(I2IError, match="expected a tensor, a PIL image, an array or a file's path, got list"):
        loaded.translate([random_image(40, 40)])  # type: ignore[call-overload]


def test_a_double_tensor_leaves_the_weights_as_they_were(run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    batch = torch.rand(1, 3, 32, 32)
    before = loaded.translate(batch)
    loaded.translate(batch.double())
    assert torch.equal(loaded.translate(batch), before)


@pytest.mark.slow
def test_threads_share_a_loaded_model(run: Path) -> None:
    """Tiles, float64 and plain calls mixed: every result is that of a single caller, and no call fails."""
    loaded = i2i.load(run, device="cpu")
    draws = torch.Generator().manual_seed(0)
    small, large = (torch.rand(1, 3, 32, side, generator=draws) * 2 - 1 for side in (32, 132))
    calls: list[Callable[[], Tensor]] = [
        lambda: loaded.translate(small),
        lambda: loaded.translate(large, tile=128),
        lambda: loaded.translate(small.double(), to="a"),
        lambda: loaded.translate(small, to="a"),
    ]
    alone = [call() for call in calls]
    fresh = i2i.load(run, device="cpu")  # its float64 copy is made by whichever thread comes first
    loaded = fresh

    def work(first: int) -> list[float]:
        order = [(first + index) % len(calls) for index in range(25)]
        return [float((calls[index]() - alone[index]).abs().max()) for index in order]

    with ThreadPoolExecutor(2) as pool:
        errors = [error for found in pool.map(work, range(8)) for error in found]
    assert len(errors) == 200
    assert max(errors) == 0
    assert whole_image() is None


def test_an_exception_leaves_nothing_behind(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = i2i.load(run, device="cpu")
    image = torch.rand(1, 3, 32, 132)
    before, generator = loaded.translate(image, tile=128), loaded.translator.get_submodule("generators.b")
    weights = {name: value.clone() for name, value in loaded.translator.state_dict().items()}
    hook = generator.register_forward_hook(lambda *_: 1 / 0)
    for dtype, tile in ((torch.float32, None), (torch.float32, 128)):
        with pytest.raises(ZeroDivisionError):
            loaded.translate(image.to(dtype), tile=tile)
    hook.remove()
    assert whole_image() is None
    assert torch.equal(loaded.translate(image, tile=128), before)
    assert all(torch.equal(value, weights[name]) for name, value in loaded.translator.state_dict().items())


@pytest.mark.parametrize(("width", "height"), [(33, 47), (101, 75), (9, 8), (3, 90)])
def test_any_size_comes_back(run: Path, width: int, height: int) -> None:
    loaded = i2i.load(run, device="cpu")
    image = random_image(width, height)
    assert loaded.translate(image, size="original").size == (width, height)
    batch = loaded.prepare(image, "original").unsqueeze(0)
    made = loaded.run(batch, "b")
    assert made.image.shape == batch.shape
    assert made.heatmap is not None
    assert made.heatmap.shape[2:] == (-(-height // 4), -(-width // 4))
    padded = reflect_to(batch, max(8, -(-height // 4) * 4), max(8, -(-width // 4) * 4))
    assert torch.equal(loaded.run(padded, "b").image[..., :height, :width], made.image)


def test_reflection_is_repeated_where_one_is_not_enough() -> None:
    row = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    expected = torch.tensor([0.0, 1, 2, 1, 0, 1, 2, 1])
    assert torch.equal(reflect_to(row, 1, 8).flatten(), expected)
    with pytest.raises(ShapeError, match="expected sides of at least 2 pixels, got 3 x 1"):
        reflect_to(row, 2, 4)


def test_the_smallest_size_is_the_networks(run: Path, full_run: Path, tmp_path: Path) -> None:
    assert i2i.load(run, device="cpu").smallest_size == 8
    assert i2i.load(full_run, device="cpu").smallest_size == 32
    munit = write(
        Recipe.read("munit_small", {"translator.generator.channels": 4, "translator.generator.blocks": 1}), tmp_path
    )
    loaded = i2i.load(munit, device="cpu")
    assert loaded.smallest_size == 16
    with pytest.raises(I2IError, match="expected a size of at least 16 pixels"):
        loaded.translate(random_image(40, 40), size=8)
    assert loaded.translate(random_image(40, 50), size=16).size == (16, 20)


def test_a_loaded_model_says_what_it_is(run: Path) -> None:
    loaded = i2i.load(run, device="cpu")
    assert loaded.recipe.name == "ugatit_small"
    assert repr(loaded) == "<i2i.Loaded ugatit_small: step 0, to a/b, 32 px, cpu>"


def test_weights_of_another_recipe_are_named(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "run"))
    recipe = checkpoint.listed(other)[0] / checkpoint.RECIPE
    recipe.write_text(recipe.read_text().replace("channels = 4", "channels = 8"))
    state = checkpoint.listed(other)[0] / checkpoint.STATE
    content = json.loads(state.read_text())
    content["sha256"][checkpoint.RECIPE] = checkpoint._checksum(recipe)
    content["own"] = checkpoint._state_checksum(content)
    state.write_text(json.dumps(content))
    with pytest.raises(
        CheckpointError,
        match=r"the weights do not fit the recipe.toml next to them: \S+: expected \[8, 3, 7, 7\], got \[4, 3, 7, 7\]; "
        r".*; and \d+ more",
    ):
        i2i.load(other)
