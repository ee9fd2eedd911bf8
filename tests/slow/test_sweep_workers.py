"""Sweeps by several processes, one of which is killed.

python -m pytest -m slow tests/slow/test_sweep_workers.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from i2i.engine import checkpoint
from i2i.engine.run_lock import is_locked

pytest.importorskip("optuna", reason="sweeps need the extra i2i[sweep]")
pytestmark = pytest.mark.slow
STEPS = 300
SETTINGS = {
    "data.size": "32",
    "train.steps": str(STEPS),
    "train.checkpoint_every": "10",
    "train.batch_size": "1",
    "train.workers": "0",
    "train.sample_every": "0",
    "train.log_every": "1",
    "translator.generator.channels": "4",
    "translator.generator.levels": "4",
    "translator.discriminators.local.channels": "4",
    "translator.discriminators.local.layers": "3",
    "losses.l1.weight": "1,10,100",
}


def start(folder: Path) -> subprocess.Popen[str]:
    sets = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "i2i", "sweep", "pix2pix_small", *sets, "--metric", "generator/l1"]
    command += ["--output", str(folder), "--workers", "2", "--no-prune", "--device", "cpu"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)


def states(said: str) -> list[str]:
    """Return the last cells of the report's rows."""
    rows = [line for line in said.splitlines() if line.startswith("| trial-")]
    return sorted(row.rstrip(" |").rpartition("| ")[2] for row in rows)


def test_the_trial_of_a_killed_worker_continues_with_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    first = start(folder)
    until = time.monotonic() + 300
    while len(begun := [path for path in folder.glob("trial-*") if is_locked(path) and checkpoint.listed(path)]) < 2:
        assert time.monotonic() < until
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.02)
    (worker,) = psutil.Process(first.pid).children()
    worker.kill()
    said = first.communicate(timeout=300)[0]
    assert first.returncode == 130, said
    assert states(said) == ["complete", "complete", "running"]  # the other process has trained the third combination
    second = start(folder)
    said = second.communicate(timeout=300)[0]
    assert second.returncode == 0, said
    assert states(said) == ["complete"] * 3
    assert sorted(path.name for path in folder.glob("trial-*")) == [f"trial-000{number}" for number in range(3)]
    assert {checkpoint.find(path).step for path in begun} == {STEPS}
