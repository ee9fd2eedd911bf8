"""Runs that are killed at random moments, again and again, end as the run that nobody touched.

    python -m pytest -m slow tests/slow/test_kill.py -s

Each recipe trains in its own process, which gets SIGKILL after a random time and goes on with `--resume`. Those of
plugins need them installed. `I2I_KILL_SEED=1` chooses other moments, with `I2I_KILL_MOST=3` each run is killed at most
three times.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import pytest
import tomli_w
import torch
from PIL import Image

TABLE: dict[str, Any] = tomllib.loads((Path(__file__).parent / "kill_runs.toml").read_text())
PLUGINS = {recipe: plugin for plugin, recipes in TABLE["plugins"].items() for recipe in recipes}
RUNS: dict[str, dict[str, Any]] = {**TABLE["runs"], **{name: TABLE["plugins"][PLUGINS[name]][name] for name in PLUGINS}}


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of images, one of which cannot be read."""
    folder = tmp_path_factory.mktemp("album")
    draws = np.random.Generator(np.random.PCG64(0))
    for domain in "ab":
        (folder / domain).mkdir()
        for number in range(5):
            pixels = draws.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / domain / f"{number}.png")
    (folder / "a" / "3.png").write_bytes(b"damaged")
    return folder


def settings_of(name: str, album: Path) -> dict[str, Any]:
    """What makes a recipe small, ready for the command line."""
    own = dict(RUNS[name])
    found = dict(TABLE["shared"])
    for shared in own.pop("with", []):
        found |= TABLE["with"][shared]
    return {
        key: value.replace("ALBUM", str(album)) if isinstance(value, str) else value
        for key, value in (found | own).items()
    }


def command(*arguments: str, settings: dict[str, Any] | None = None, launcher: Sequence[str] = ()) -> list[str]:
    written = {key: tomli_w.dumps({"v": value}).removeprefix("v = ").strip() for key, value in (settings or {}).items()}
    changes = [f"{key}={value}" for key, value in written.items()]
    return [
        sys.executable,
        *launcher,
        "-m",
        "i2i",
        "train",
        *arguments,
        *(part for one in changes for part in ("--set", one)),
    ]


def killed_until_done(first: list[str], again: list[str], folder: Path, draws: random.Random, pace: float) -> int:
    """Runs a command and goes on with another after each kill; gives the number of kills that met a living process.

    Most of a start is importing torch, so the first and four of five later kills are counted from when the process
    opens its log: within the time of twenty steps, `pace` being steps per second, and what the first one takes longer.
    """
    kills, most, now = 0, int(os.environ.get("I2I_KILL_MOST", "80")), first
    while True:
        started = time.time()
        process = subprocess.Popen(now, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        early = kills > 0 and draws.random() < 0.2
        wait = draws.uniform(0, 10 if early else 0.6 + 20 / pace)
        if not early:
            while process.poll() is None and not began(folder, started):
                time.sleep(0.005)
        try:
            process.wait(wait if kills < most else None)
        except subprocess.TimeoutExpired:
            for one in [*psutil.Process(process.pid).children(recursive=True), process]:  # a launcher's are no group
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait()
            kills += 1
        else:
            said = process.stderr.read().decode() if process.stderr else ""
            over = "has taken 40 steps, and train.steps is 40" in said and logged(
                folder, "finished"
            )  # killed as it left
            assert process.returncode == 0 or over, said[-2000:]
            return kills
        time.sleep(0.2)
        saved = any((folder / "checkpoints").glob("step-*/state.json"))
        now = again if saved else first


def began(folder: Path, since: float) -> bool:
    path = folder / "log.jsonl"
    return path.exists() and path.stat().st_mtime > since


def end_of(folder: Path) -> dict[str, Any]:
    """All of the last checkpoint: weights, averages, optimizers, pools, and what is counted."""
    assert list((folder / "checkpoints").glob(".*")) == [], "a killed run has left something"
    last = max((folder / "checkpoints").glob("step-*"))
    state = json.loads((last / "state.json").read_text())
    counted = {key: value for key, value in state.items() if key not in ("own", "sha256")}
    return {"state": counted, **{path.name: path.read_bytes() for path in last.glob("*.safetensors")}}


def logged(folder: Path, *events: str) -> list[dict[str, Any]]:
    """Lines of the log, without what tells of time."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    timed = ("steps_per_second", "wait")
    return [
        {key: value for key, value in line.items() if key not in timed} for line in lines if line["event"] in events
    ]


def pace_of(folder: Path) -> float:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return median(line["steps_per_second"] for line in lines if line["event"] == "step")


def killed_and_compared(recipe: str, settings: dict[str, Any], folder: Path, launcher: Sequence[str] = ()) -> int:
    """Trains a recipe in peace and in pieces, and compares every tensor and every logged step; gives the kills."""
    whole, killed = folder / "whole", folder / "killed"
    first = [command(recipe, "--output", str(run), settings=settings, launcher=launcher) for run in (whole, killed)]
    subprocess.run(first[0], check=True, capture_output=True)
    draws = random.Random(f"{os.environ.get('I2I_KILL_SEED', '0')} {recipe} {len(launcher)}")
    again = command("--resume", str(killed), launcher=launcher)
    kills = killed_until_done(first[1], again, killed, draws, pace_of(whole))
    expected, got = end_of(whole), end_of(killed)
    assert expected.keys() == got.keys()
    assert [key for key, value in expected.items() if got[key] != value] == []
    logs = [logged(run, "step", "diagnostics", "finished") for run in (whole, killed)]
    assert logs[0] == logs[1]
    assert [line["event"] for line in logs[0]].count("finished") == 1
    return kills


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RUNS)
def test_a_run_that_is_killed_is_the_run_that_was_not(
    recipe: str, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = PLUGINS.get(recipe, "")
    if plugin and not entry_points(group="i2i", name=plugin):
        pytest.skip(f"the plugin i2i-{plugin} is not installed")
    monkeypatch.setenv("I2I_PLUGINS", plugin)
    kills = killed_and_compared(recipe, settings_of(recipe, album), tmp_path)
    with capsys.disabled():
        print(f"\n| `{recipe}` | {kills} | yes |")
    assert kills


@pytest.mark.slow
@pytest.mark.skipif(torch.accelerator.is_available(), reason="two processes on a CPU")
@pytest.mark.parametrize("recipe", ["ugatit_small", "cyclegan"])
def test_so_is_one_of_two_processes(
    recipe: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are killed together, as when a machine loses its power."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    settings = settings_of(recipe, album) | {"train.workers": 1, "train.accumulate": 1, "train.batch_size": 1}
    kills = killed_and_compared(recipe, settings, tmp_path, launcher)
    with capsys.disabled():
        print(f"\n| `{recipe}`, two processes | {kills} | yes |")
    assert kills
