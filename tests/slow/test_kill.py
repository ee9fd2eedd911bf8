"""Runs that are killed at random moments, again and again, end as the run that nobody touched.

    python -m pytest -m slow tests/slow/test_kill.py -s

Each recipe trains in its own process, which gets SIGKILL after a random time and goes on with `--resume`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

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
}


def command(*arguments: str, settings: dict[str, Any] | None = None) -> list[str]:
    changes = [f"{key}={json.dumps(value)}" for key, value in (settings or {}).items()]
    return [sys.executable, "-m", "i2i", "train", *arguments, *(part for one in changes for part in ("--set", one))]


def killed_until_done(first: list[str], folder: Path, draws: random.Random) -> int:
    """Runs a command and goes on after each kill; gives the number of kills that met a living process."""
    kills, now = 0, first
    while True:
        process = subprocess.Popen(now, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        try:
            # Most of the start is importing torch; what matters comes after it.
            process.wait(draws.uniform(6, 16))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            assert process.returncode == 0, process.stderr.read().decode()[-2000:] if process.stderr else ""
            return kills
        time.sleep(0.2)
        saved = any((folder / "checkpoints").glob("step-*/state.json"))
        now = command("--resume", str(folder)) if saved else first
        assert kills < 60


def end_of(folder: Path) -> dict[str, bytes]:
    last = max((folder / "checkpoints").glob("step-*"))
    return {path.name: path.read_bytes() for path in last.glob("*.safetensors")}


def log_of(folder: Path) -> list[tuple[int, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["terms"]) for line in lines if line["event"] == "step"]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed_is_the_run_that_was_not(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, settings = RUNS[name]
    arguments = {**SHARED, **settings}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(recipe, "--output", str(whole), settings=arguments), check=True, capture_output=True)
    seed = int(os.environ.get("I2I_KILL_SEED", "0"))
    first = command(recipe, "--output", str(killed), settings=arguments)
    kills = killed_until_done(first, killed, random.Random(f"{seed} {name}"))
    with capsys.disabled():
        print(f"\n{name}: {kills} kills")
    assert kills
    expected, got = end_of(whole), end_of(killed)
    assert expected.keys() == got.keys()
    assert [key for key, value in expected.items() if got[key] != value] == []
    assert log_of(whole) == log_of(killed)
