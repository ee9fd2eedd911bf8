"""Runs that are killed at random moments, again and again, end as the run that nobody touched.

    python -m pytest -m slow tests/slow/test_kill.py -s

Each recipe trains in its own process, which gets SIGKILL after a random time and goes on with `--resume`. Those of
plugins need them installed. `I2I_KILL_SEED=1` chooses other moments.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import tomli_w

SHARED: dict[str, Any] = {
    "data.size": 32,
    "train.steps": 40,
    "train.checkpoint_every": 3,
    "train.sample_every": 0,
    "train.log_every": 1,
    "train.threads": 1,
    "train.batch_size": 2,
}
PLAIN = {"translator.generator.channels": 4, "translator.discriminators.local.channels": 4}
LATENT = {"translator.generator.channels": 4, "translator.discriminators.multiscale.channels": 4}
FEATURES = (("type", "timm"), ("model", "test_efficientnet"), ("weights", "untrained"))
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "ugatit, averaged, accumulated": (
        "quickstart",
        {
            "translator.generator.channels": 4,
            "translator.generator.blocks": 1,
            "train.ema": 0.9,
            "train.accumulate": 2,
            "train.workers": 4,
        },
    ),
    "cyclegan, pool": (
        "cyclegan",
        {**PLAIN, "data.type": "shapes", "translator.generator.blocks": 1, "translator.pool": 5, "train.workers": 0},
    ),
    "pix2pix": ("pix2pix_small", {**PLAIN, "train.workers": 2}),
    "cut": ("cut_small", {**PLAIN, "translator.generator.blocks": 4, "train.workers": 0}),
    "munit": ("munit_small", {**LATENT, "train.workers": 0}),
    "unit": ("unit_small", {**LATENT, "train.workers": 2}),
    "nicegan": ("nicegan_small", {"translator.discriminator.channels": 4, "translator.generator.channels": 4}),
    "fast_style": (
        "fast_style_small",
        {
            "translator.generator.channels": 4,
            "losses.content.taps": ["blocks.1.0.bn1"],
            "losses.style.taps": ["bn1", "blocks.1.0.bn1"],
            **{f"losses.{loss}.features.{key}": value for loss in ("content", "style") for key, value in FEATURES},
        },
    ),
}
BY_PLUGINS: dict[str, tuple[str, dict[str, Any]]] = {
    "drit": (  # a phase that rests in every second step
        "drit_small",
        {
            **LATENT,
            "translator.d_iter": 2,
            "translator.generator.blocks": 1,
            "translator.generator.decoder_blocks": 1,
            "translator.discriminators.multiscale.layers": 2,
            "translator.content_discriminator.channels": 4,
            "train.workers": 0,
        },
    ),
    "twingan": (  # grows at step 10, fades until 22
        "twingan_small",
        {
            "translator.stages": [{"size": 16, "stable": 10}, {"size": 32, "fade": 12, "stable": 100}],
            "translator.generator.channels": 16,
            "translator.generator.max_channels": 6,
            "translator.discriminators.image.channels": 16,
            "translator.discriminators.image.max_channels": 6,
            "train.workers": 2,
        },
    ),
    "cartoongan": (  # photos alone for 12 steps; a batch has a third stream
        "cartoongan_small",
        {
            "translator.initialization": 12,
            "translator.generator.channels": 4,
            "translator.generator.blocks": 1,
            "translator.discriminators.edges.channels": 4,
            "losses.content.taps": ["blocks.1.0.bn1"],
            **{f"losses.content.features.{key}": value for key, value in FEATURES},
            "data.count": 12,
            "train.workers": 2,
        },
    ),
    "dtn": (  # learns its features for 10 steps, then freezes them
        "dtn_small",
        {
            "translator.feature_steps": 10,
            "translator.features.channels": 4,
            "translator.features.features": 8,
            "translator.generator.channels": 8,
            "translator.discriminators.image.channels": 4,
        },
    ),
}


def command(*arguments: str, settings: dict[str, Any] | None = None) -> list[str]:
    written = {key: tomli_w.dumps({"v": value}).removeprefix("v = ").strip() for key, value in (settings or {}).items()}
    changes = [f"{key}={value}" for key, value in written.items()]
    return [sys.executable, "-m", "i2i", "train", *arguments, *(part for one in changes for part in ("--set", one))]


def killed_until_done(first: list[str], folder: Path, draws: random.Random, pace: float) -> int:
    """Runs a command and goes on after each kill; gives the number of kills that met a living process.

    Most of a start is importing torch, so four of five kills are counted from when the process opens its log: within
    the time of ten steps, `pace` being steps per second, and what the first one takes longer.
    """
    kills, now = 0, first
    while True:
        started = time.time()
        process = subprocess.Popen(now, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        early = draws.random() < 0.2
        wait = draws.uniform(0, 10 if early else 0.6 + 10 / pace)
        if not early:
            while process.poll() is None and not began(folder, started):
                time.sleep(0.005)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            said = process.stderr.read().decode() if process.stderr else ""
            assert process.returncode == 0, said[-2000:]
            return kills
        time.sleep(0.2)
        saved = any((folder / "checkpoints").glob("step-*/state.json"))
        now = command("--resume", str(folder)) if saved else first
        assert kills < 80


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


def killed_and_compared(name: str, recipe: str, settings: dict[str, Any], folder: Path) -> int:
    """Trains a recipe in peace and in pieces, and compares every tensor and every logged step; gives the kills."""
    arguments = {**SHARED, **settings}
    whole, killed = folder / "whole", folder / "killed"
    subprocess.run(command(recipe, "--output", str(whole), settings=arguments), check=True, capture_output=True)
    pace = pace_of(whole)
    draws = random.Random(f"{os.environ.get('I2I_KILL_SEED', '0')} {name}")
    kills = killed_until_done(command(recipe, "--output", str(killed), settings=arguments), killed, draws, pace)
    expected, got = end_of(whole), end_of(killed)
    assert expected.keys() == got.keys()
    assert [key for key, value in expected.items() if got[key] != value] == []
    logs = [logged(run, "step", "doctor", "finished") for run in (whole, killed)]
    assert logs[0] == logs[1]
    assert len([line for line in logs[0] if line["event"] == "finished"]) == 1
    return kills


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed_is_the_run_that_was_not(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = killed_and_compared(name, *RUNS[name], tmp_path)
    with capsys.disabled():
        print(f"\n| {name} | {kills} | yes |")
    assert kills


@pytest.mark.slow
@pytest.mark.parametrize("plugin", BY_PLUGINS)
def test_so_are_those_of_plugins_with_state_of_their_own(
    plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not entry_points(group="i2i", name=plugin):
        pytest.skip(f"the plugin i2i-{plugin} is not installed")
    monkeypatch.setenv("I2I_PLUGINS", plugin)
    kills = killed_and_compared(plugin, *BY_PLUGINS[plugin], tmp_path)
    with capsys.disabled():
        print(f"\n| {plugin} | {kills} | yes |")
    assert kills
