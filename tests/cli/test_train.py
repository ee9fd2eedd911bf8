"""`i2i train`, `i2i translate` and `i2i import` as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from official_networks import official_checkpoint
from PIL import Image

from i2i.cli import run
from i2i.data import measured
from i2i.engine import checkpoint
from i2i.recipe.recipe import to_setting
from i2i.use.loaded import Loaded

Settings = dict[str, object]


def flags(settings: Settings) -> list[str]:
    return [f"--set={to_setting(key, value)}" for key, value in settings.items()]


@pytest.fixture(autouse=True)
def _few_hidden_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "DRAWN", 4)


@pytest.fixture(scope="session")
def trained_once(tiny_settings: Mapping[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, for tests to copy."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = {**tiny_settings, "train.steps": 2, "train.sample_every": 1, "train.sample_count": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured, "DRAWN", 4)
        assert run(["train", "ugatit_small", "--output", str(folder), *flags(settings)]) == 0
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_once, tmp_path / "run"))


@pytest.fixture
def begun(cheap: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A cheap run of one step, to continue."""
    settings = {**cheap, "train.steps": 1, "train.sample_every": 1, "train.sample_count": 2}
    assert run(["train", "pix2pix_small", "--output", str(tmp_path / "run"), *flags(settings)]) == 0
    capfd.readouterr()
    return tmp_path / "run"


@pytest.mark.thorough
def test_a_run_folder_holds_all_that_is_needed(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen = sorted(path.name for path in trained.iterdir() if not path.name.startswith("."))
    assert seen == ["checkpoints", "log.jsonl", "recipe.toml", "samples"]
    assert [path.name for path in sorted((trained / "samples").iterdir())] == ["step-0000001.png", "step-0000002.png"]
    files = sorted(path.name for path in checkpoint.listed(trained)[2].iterdir())
    assert files == [
        "optimizer-discriminator.safetensors",
        "optimizer-generator.safetensors",
        "recipe.toml",
        "state.json",
        "translator.safetensors",
    ]
    with Image.open(trained / "samples" / "step-0000002.png") as grid:
        assert grid.size[0] > 2 * 2 * 32  # two domains of two images, and the captions
    events = [json.loads(line)["event"] for line in (trained / "log.jsonl").read_text().splitlines()]
    assert events == ["started", "step", "step", "checkpoint", "finished"]


def test_the_end_names_the_sample_grid_and_the_hidden_pairs(begun: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--resume", str(begun), "--set=train.steps=2"]) == 0
    said = capfd.readouterr().err
    assert f"resumes at step 1 of 2 on {said.split(' on ')[1].split(',')[0]}, fp32; run folder: {begun}" in said
    assert "4 held-out pairs, a to b (in brackets: identity baseline, output = input):" in said
    assert f"done; sample grid: {begun}/samples/step-0000002.png" in said


def test_a_finished_run_says_how_to_train_on(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--resume", str(trained)]) == 2
    assert (
        f"error: {trained} has taken 2 steps, and train.steps is 2; continue with --set train.steps=4"
        in capsys.readouterr().err
    )


@pytest.mark.thorough
@pytest.mark.parametrize("left", ["all but the end", "a half line"])
def test_a_run_killed_after_its_last_step_gets_its_end(
    left: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trained / "log.jsonl"
    *before, end = path.read_text().splitlines(keepends=True)
    path.write_text("".join(before) + (end[:30] if left == "a half line" else ""))
    assert run(["train", "--resume", str(trained)]) == 0
    assert "done; " in capsys.readouterr().err
    *lines, last = map(json.loads, path.read_text().splitlines())
    assert last == json.loads(end)
    assert [line["event"] for line in lines] == [*[json.loads(line)["event"] for line in before], "resumed"]
    assert run(["train", "--resume", str(trained)]) == 2


def test_default_folders_never_collide(cheap: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(["train", "pix2pix_small", *flags(cheap | {"train.steps": 1})]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["pix2pix_small", "pix2pix_small-2"]


@pytest.mark.parametrize(
    "arguments", [["train"], ["train", "ugatit_small", "--resume", "x"], ["train", "--resume", "x", "--output", "y"]]
)
def test_usage_mistakes_have_status_2(arguments: list[str]) -> None:
    assert run(arguments) == 2


def test_missing_folders_are_named(tiny: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del tiny["data.count"]
    folders = flags(tiny | {"data.type": "folders"})
    assert run(["train", "ugatit_small", "--output", str(tmp_path / "run"), *folders]) == 2
    assert "give data.a and data.b, a folder each, or data.root" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def start(cheap: Settings, folder: Path) -> subprocess.Popen[str]:
    """A long run in a process of its own, on its way."""
    settings = cheap | {"train.steps": 100_000, "train.workers": 1}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", "train", "pix2pix_small", "--output", str(folder), *flags(settings)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        log = folder / "log.jsonl"
        if log.exists() and log.read_text().count('"event": "step"') >= 2:
            break
        time.sleep(0.1)
    return process


@pytest.mark.slow
def test_a_signal_to_the_whole_group_saves_first(cheap: Settings, tmp_path: Path) -> None:
    process = start(cheap, tmp_path / "run")
    os.killpg(process.pid, signal.SIGTERM)  # as batch systems do: the reading workers get it too
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    saved = checkpoint.find(tmp_path / "run")
    assert saved.step >= 2
    assert f"stopped at step {saved.step}, saved; continue with: i2i train --resume {tmp_path / 'run'}" in said


def image(path: Path, width: int = 40, height: int = 56, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def test_folders_and_files_are_translated(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image(tmp_path / "album" / "one.png")
    image(tmp_path / "album" / "deep" / "two.jpg", 64, 32)
    image(tmp_path / "album" / "grey.gif", mode="L")
    (tmp_path / "album" / "broken.png").write_bytes(b"no image")
    single = image(tmp_path / "single.webp")
    output = tmp_path / "out"
    capsys.readouterr()
    assert (
        run(["translate", str(trained), str(tmp_path / "album"), str(single), "--output", str(output), "--heatmap"])
        == 0
    )
    said = capsys.readouterr()
    assert said.out == f"4 translated to b in {output}, 1 skipped\n"
    assert "skipped: " in said.err
    assert "broken.png" in said.err
    names = sorted(str(path.relative_to(output)) for path in output.rglob("*.*"))
    assert names == [
        "deep/two.heatmap.png", "deep/two.jpg", "grey.heatmap.png", "grey.png", "one.heatmap.png", "one.png",
        "single.heatmap.png", "single.webp",
    ]  # fmt: skip
    with Image.open(output / "one.png") as made, Image.open(output / "deep" / "two.jpg") as wide:
        assert (made.size, wide.size) == ((32, 45), (64, 32))


def test_images_that_fail_are_named_and_the_others_are_translated(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong after an image was read: its shape, memory, writing."""
    sizes = {"1": (1, 1), "2": (64, 48), "3": (72, 56), "4": (3, 90), "5": (40, 40), "6": (40, 40)}
    for name, (width, height) in sizes.items():
        image(tmp_path / "tiny" / f"{name}.png", width, height)
    output = tmp_path / "out"
    (output / "5.png").mkdir(parents=True)  # so that it cannot be written
    inner = Loaded.run

    def run_short_of_memory(self: Loaded, batch: torch.Tensor, to: str, **more: object) -> object:
        if batch.shape[2:] == (56, 72):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return inner(self, batch, to, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Loaded, "run", run_short_of_memory)
    capsys.readouterr()
    arguments = ["translate", str(trained), str(tmp_path / "tiny"), "--output", str(output), "--size", "original"]
    assert run(arguments) == 0
    said = capsys.readouterr()
    assert said.out == f"3 translated to b in {output}, 3 skipped\n"
    lines = said.err.splitlines()
    for line, name in zip(lines, ("1", "3", "5"), strict=True):
        assert line.startswith(f"skipped: cannot translate {tmp_path / 'tiny' / name}.png: ")
    assert lines[0].endswith("1.png: expected sides of at least 2 pixels, got 1 x 1")
    assert "out of memory: CUDA out of memory. Tried to allocate 2 GiB; try a smaller --size, --tile" in lines[1]
    for name in ("2", "4", "6"):
        with Image.open(output / f"{name}.png") as made:
            assert made.size == sizes[name]


def test_nothing_translated_is_an_error(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = str(image(tmp_path / "one.png", 1, 1))
    assert run(["translate", str(trained), single, "--output", str(tmp_path / "out"), "--size", "original"]) == 2
    assert capsys.readouterr().err.endswith("error: the image could not be translated\n")


def test_one_image_into_one_file(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = image(tmp_path / "one.png", 32, 32)
    for name in ("out.jpg", "new/out.png", "out.webp"):
        output = tmp_path / name
        for _ in range(2):  # the second call replaces the file
            assert run(["translate", str(trained), str(single), "--output", str(output)]) == 0
        assert capsys.readouterr().out == f"1 translated to b in {output}\n" * 2
        with Image.open(output) as made:
            assert made.format == {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[name.rpartition(".")[2]]
    before = single.read_bytes()
    for arguments, message in {
        (str(single), "--output", str(single)): f"{single} would be overwritten; choose another --output",
        (str(single), str(output), "--output", "x.jpg"): "--output x.jpg is one file, but there are 2 inputs",
        (str(tmp_path), "--output", "x.jpg"): f"--output x.jpg is one file, but {tmp_path} is a folder; give a folder",
        (str(single), "--output", "x.xyz"): "--output x.xyz: files of the format .xyz cannot be written, only .bmp,",
        (str(single), "--output", "x.jpg", "--format", "png"): "--format png is for folders; --output x.jpg says",
        (str(single), "--output", "x.jpg", "--skip-existing"): "--skip-existing is for folders; x.jpg is one file",
    }.items():
        assert run(["translate", str(trained), *arguments]) == 2
        assert message in capsys.readouterr().err
    assert single.read_bytes() == before
    assert not Path("x.jpg").exists()


def test_side_by_side(trained: Path, tmp_path: Path) -> None:
    single = image(tmp_path / "one.png", 32, 32)
    arguments = [
        "translate",
        str(trained),
        str(single),
        "--output",
        str(tmp_path / "out"),
        "--side-by-side",
        "--to",
        "a",
    ]
    assert run(arguments) == 0
    with Image.open(tmp_path / "out" / "one.png") as made, Image.open(single) as source:
        assert made.size == (64, 32)
        assert np.array_equal(np.asarray(made)[:, :32], np.asarray(source))


def test_batches_change_nothing(trained: Path, tmp_path: Path) -> None:
    for index in range(3):
        image(tmp_path / "album" / f"{index}.png", 40 + 4 * index, 40)
    for size in ("1", "3"):
        arguments = [str(trained), str(tmp_path / "album"), "--output", str(tmp_path / size), "--batch-size", size]
        assert run(["translate", *arguments]) == 0
    for index in range(3):
        one, three = (np.asarray(Image.open(tmp_path / size / f"{index}.png")).astype(int) for size in ("1", "3"))
        assert np.abs(one - three).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.png"], "error: nowhere.png does not exist; give images or folders of images"),
        (["--to", "c"], "error: this translator has no domain 'c'; domains: a, b"),
        (["--size", "big"], "expected a number of pixels or \"original\", got 'big'"),
        (["--size", "5"], 'expected a size of at least 8 pixels or "original", got 5'),
        (["--device", "cuda:99"], "error: --device cuda:99: not available"),
    ],
)
def test_translate_says_what_is_wrong(
    trained: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    single = str(image(tmp_path / "one.png"))
    assert run(["translate", str(trained), single, "--output", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = image(tmp_path / "x" / "one.png"), image(tmp_path / "y" / "one.png")
    assert run(["translate", str(trained), str(one), "--output", str(one.parent)]) == 2
    assert "would be overwritten; choose another --output" in capsys.readouterr().err
    assert run(["translate", str(trained), str(one), str(other), "--output", str(tmp_path / "out")]) == 2
    assert "would both be written to" in capsys.readouterr().err


def test_an_official_checkpoint_is_imported(golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = official_checkpoint(golden, "ugatit", "traj_light", tmp_path)
    assert run(["import", "ugatit-pytorch", str(file), "--output", str(tmp_path / "run"), "--set", "data.size=96"]) == 0
    assert f"wrote {tmp_path / 'run'}" in capsys.readouterr().out
    single = image(tmp_path / "one.png", 96, 96)
    assert run(["translate", str(tmp_path / "run"), str(single), "--output", str(tmp_path / "out")]) == 0
    assert run(["import", "ugatit-pytorch", str(file), "--output", str(tmp_path / "run")]) == 2
    assert "already contains a run; choose another folder" in capsys.readouterr().err


def test_a_damaged_newest_checkpoint_does_not_end_a_run(
    cheap: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    settings = cheap | {"train.steps": 3, "train.checkpoint_every": 1}
    assert run(["train", "pix2pix_small", "--output", str(folder), *flags(settings)]) == 0
    (checkpoint.listed(folder)[3] / checkpoint.WEIGHTS).write_bytes(b"")
    assert run(["train", "--resume", str(folder)]) == 0
    assert caplog.messages[0].endswith("translator.safetensors; using the checkpoint of step 2")
    assert checkpoint.find(folder).step == 3


def test_an_old_checkpoint_is_not_gone_on_from_silently(
    cheap: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    settings = cheap | {"train.steps": 2, "train.checkpoint_every": 1}
    assert run(["train", "pix2pix_small", "--output", str(folder), *flags(settings)]) == 0
    assert run(["train", "--resume", str(folder / "checkpoints" / "step-0000001")]) == 2
    assert "has checkpoints up to step 2; to continue from 1, move the later ones away" in capsys.readouterr().err


def test_heat_maps_never_meet(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image(tmp_path / "album" / "one.png")
    image(tmp_path / "album" / "one.jpg")
    arguments = ["translate", str(trained), str(tmp_path / "album"), "--output", str(tmp_path / "out"), "--heatmap"]
    assert run(arguments) == 2
    assert "would both be written to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_its_run_is_not_trained_on(
    begun: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(begun / "checkpoints")
    assert run(["train", "--resume", "step-0000001", "--set=train.steps=2"]) == 0  # inside its run, by a short path
    checkpoint.listed(begun)[1].rename(tmp_path / "lone")
    assert run(["train", "--resume", str(tmp_path / "lone"), "--set=train.steps=3"]) == 2
    assert (
        "lone is a checkpoint outside its run; training continues in the run that it came from"
        in capfd.readouterr().err
    )


def test_missing_data_is_named_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from i2i.cli import run; status = run(sys.argv[1:]); "
        "print(status, 'torch' in sys.modules, file=sys.stderr)"
    )
    for settings, message in (
        ([], "error: expected two folders of training images, got none; give data.a and data.b, a folder each, or"),
        (["--set", "data.a=x", "--set", "data.b=y"], "error: folder x does not exist; the nearest folder that exists"),
        (["--set", "data.type=paired", "--set", "data.a=x"], "error: expected pairs of images, got data.a; give"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, "train", "ugatit", *settings], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.stderr.startswith(message)
        assert done.stderr.endswith("2 False\n")


def test_a_file_is_no_run_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run(["train", "ugatit_small", "--output", str(tmp_path / "file")]) == 2
