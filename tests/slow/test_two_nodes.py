"""Two machines, as two agents of torchrun on loopback, train what one process trains with the double batch.

python -m pytest -m slow tests/slow/test_two_nodes.py
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from i2i.engine import checkpoint
from i2i.engine.trainer import train
from i2i.recipe.recipe import Recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.accelerator.is_available(), reason="the agents of one machine would share its GPUs"),
]
STEPS = 8
SETTINGS: dict[str, Any] = {
    "data.type": "shapes",
    "data.size": 32,
    "translator.generator.channels": 4,
    "translator.generator.blocks": 1,
    "translator.discriminators.local.channels": 4,
    "losses.cycle.weight": 0.1,
    "losses.identity.weight": 0.1,
    "losses.cam.weight": 0.1,
    "train.precision": "fp64",
    "train.steps": STEPS,
    "train.checkpoint_every": 2,
    "train.batch_size": 1,
    "train.sample_every": 0,
    "train.workers": 0,
    "train.ema": "none",
    "train.log_every": 1,
}
Launched = list["subprocess.Popen[str]"]


def launch(*arguments: str) -> Launched:
    """Start `i2i train` on two nodes of one process each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1"]
    agent += ["--master_addr", "127.0.0.1", "--master_port", str(port)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    commands = [[*agent, "--node_rank", str(node), "-m", "i2i", "train", *arguments] for node in range(2)]
    return [subprocess.Popen(command, env=environment, **pipes) for command in commands]


def new(folder: Path) -> Launched:
    sets = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return launch("ugatit_small", "--output", str(folder), *sets)


def ended(nodes: Launched) -> tuple[list[int], str]:
    """Wait for both nodes; return their statuses and what they printed."""
    said = "".join(node.communicate(timeout=900)[0] for node in nodes)
    return [node.returncode for node in nodes], said


def wait_for_steps(folder: Path, count: int) -> None:
    log, until = folder / "log.jsonl", time.monotonic() + 600
    while not log.exists() or log.read_text().count('"event": "step"') < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def weights(folder: Path, step: int = STEPS) -> dict[str, torch.Tensor]:
    saved = checkpoint.find(folder)
    assert saved.step == step
    return saved.weights()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes") / "undisturbed"
    statuses, said = ended(new(folder))
    assert statuses == [0, 0], said
    return folder


def test_two_nodes_equal_one_process_with_the_double_batch(undisturbed: Path, tmp_path: Path) -> None:
    recipe = Recipe.read("ugatit_small", SETTINGS | {"train.batch_size": 2})
    start = train(Recipe.read("ugatit_small", SETTINGS | {"train.steps": 1}), tmp_path / "start").translator
    train(recipe, tmp_path / "one")
    two, one = weights(undisturbed), weights(tmp_path / "one")
    names = [name for name, value in start.named_parameters()]
    moved = sum(float((one[name] - value.detach()).square().sum()) for name, value in start.named_parameters())
    apart = sum(float((one[name] - two[name]).square().sum()) for name in names)
    assert apart < 1e-10 * moved  # Adam turns rounding of small gradients into steps


def test_sigterm_on_one_node_saves_all_and_both_resume_exactly(undisturbed: Path, tmp_path: Path) -> None:
    nodes = new(tmp_path / "run")
    wait_for_steps(tmp_path / "run", 1)
    nodes[1].send_signal(signal.SIGTERM)  # the agent passes it on to its process
    _, said = ended(nodes)
    saved = checkpoint.find(tmp_path / "run")
    assert 0 < saved.step < STEPS, said
    assert f"stopped at step {saved.step}, saved" in said
    statuses, said = ended(launch("--resume", str(tmp_path / "run")))
    assert statuses == [0, 0], said
    assert equal(weights(tmp_path / "run"), weights(undisturbed))


def test_a_node_that_dies_is_reported_and_the_run_resumes(undisturbed: Path, tmp_path: Path) -> None:
    nodes = new(tmp_path / "run")
    wait_for_steps(tmp_path / "run", 3)
    for process in [*psutil.Process(nodes[1].pid).children(recursive=True), psutil.Process(nodes[1].pid)]:
        process.kill()
    statuses, said = ended(nodes)
    assert statuses[0] != 0
    newest = max(checkpoint.listed(tmp_path / "run"))
    assert "process 0 of 2 has lost the connection to another one" in said, said
    assert f"resume from step {newest} with --resume {tmp_path / 'run'}" in said
    assert "i2i/engine/trainer.py" not in said  # no traceback of ours
    statuses, said = ended(launch("--resume", str(tmp_path / "run")))
    assert statuses == [0, 0], said
    assert equal(weights(tmp_path / "run"), weights(undisturbed))
