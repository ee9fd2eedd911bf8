"""Two machines, as two agents of torchrun on loopback, train what one process trains with the double batch.

    python -m pytest -m slow tests/slow/test_two_nodes.py

One of them is killed at chosen and at random moments; `I2I_KILL_SEED=1` chooses others, `I2I_KILL_MOST=9` more of them.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from i2i.engine import checkpoint
from i2i.engine.trainer import train
from i2i.methods.assembly import build
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
    "train.process_timeout": 120,
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


def kill(agent: subprocess.Popen[str]) -> None:
    """Kill an agent with all of its processes, as a machine that goes down."""
    for process in [psutil.Process(agent.pid), *psutil.Process(agent.pid).children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def has_workers(nodes: Launched) -> bool:
    """Whether both agents have found each other and started their processes."""
    return all(node.poll() is None and psutil.Process(node.pid).children() for node in nodes)


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def steps_logged(folder: Path) -> int:
    log = folder / "log.jsonl"
    return log.read_text().count('"event": "step"') if log.exists() else 0


def weights(folder: Path, step: int = STEPS) -> dict[str, torch.Tensor]:
    saved = checkpoint.find(folder)
    assert saved.step == step
    return saved.weights()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Return the folder of a run that nobody disturbs, and its seconds from the start of its processes."""
    folder = tmp_path_factory.mktemp("nodes") / "undisturbed"
    nodes = new(folder)
    wait_until(lambda: has_workers(nodes))
    began = time.monotonic()
    statuses, said = ended(nodes)
    assert statuses == [0, 0], said
    return folder, time.monotonic() - began


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Return the parameters before the first step."""
    recipe = Recipe.read("ugatit_small", SETTINGS)
    return {name: value.detach().clone() for name, value in build(recipe).double().named_parameters()}


def assert_near(one: Path, other: Path, start: dict[str, torch.Tensor]) -> None:
    """Assert equality up to the order of sums, which Adam makes larger where gradients are small."""
    ours, theirs = weights(one), weights(other)
    moved = sum(float((theirs[name] - value).square().sum()) for name, value in start.items())
    apart = sum(float((theirs[name] - ours[name]).square().sum()) for name in start)
    assert apart < 1e-10 * moved


def test_two_nodes_equal_one_process_with_the_double_batch(
    undisturbed: tuple[Path, float], tmp_path: Path, start: dict[str, torch.Tensor]
) -> None:
    train(Recipe.read("ugatit_small", SETTINGS | {"train.batch_size": 2}), tmp_path / "one")
    assert_near(tmp_path / "one", undisturbed[0], start)


def test_sigterm_on_one_node_saves_all_and_both_resume_exactly(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    nodes = new(tmp_path / "run")
    wait_until(lambda: steps_logged(tmp_path / "run") >= 1)
    nodes[1].send_signal(signal.SIGTERM)  # the agent passes it on to its process
    _, said = ended(nodes)
    saved = checkpoint.find(tmp_path / "run")
    assert 0 < saved.step < STEPS, said
    assert f"stopped at step {saved.step}, saved" in said
    statuses, said = ended(launch("--resume", str(tmp_path / "run")))
    assert statuses == [0, 0], said
    assert equal(weights(tmp_path / "run"), weights(undisturbed[0]))


def has_begun(nodes: Launched, folder: Path) -> bool:
    return (folder / "recipe.toml").exists()


def is_writing(nodes: Launched, folder: Path) -> bool:
    return any((folder / "checkpoints").glob(".step-*.part"))


def has_taken_steps(nodes: Launched, folder: Path) -> bool:
    return steps_logged(folder) >= 3


def at_once(nodes: Launched, folder: Path) -> bool:
    return True


CHOSEN = [(1, at_once), (0, has_begun), (0, is_writing), (1, is_writing), (1, has_taken_steps)]
DRAWS = random.Random(int(os.environ.get("I2I_KILL_SEED", "0")))
RANDOM = [(DRAWS.randrange(2), DRAWS.random()) for _ in range(int(os.environ.get("I2I_KILL_MOST", "3")))]
"""Node, and share of an undisturbed run's time after which it is killed."""


@pytest.mark.parametrize(("victim", "moment"), [*CHOSEN, *RANDOM])
def test_a_killed_node_is_reported_and_the_run_resumes_exactly(
    victim: int,
    moment: float | Callable[[Launched, Path], bool],
    undisturbed: tuple[Path, float],
    start: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    whole, seconds = undisturbed
    folder, alone = tmp_path / "run", tmp_path / "alone"
    nodes = new(folder)
    wait_until(lambda: has_workers(nodes))
    if isinstance(moment, float):
        time.sleep(moment * seconds)
    else:
        wait_until(lambda: moment(nodes, folder))
    kill(nodes[victim])
    other = nodes[1 - victim]
    said = other.communicate(timeout=SETTINGS["train.process_timeout"] + 60)[0]
    newest = max(checkpoint.listed(folder), default=0)
    if other.returncode == 0:  # it had taken its last step
        assert newest == STEPS
    else:
        assert f"process {1 - victim} of 2 has lost the connection to another one" in said, said
        assert (f"resume from step {newest} with --resume {folder}" if newest else "nothing was saved yet") in said, (
            said
        )
        assert f"{Path('i2i') / 'engine'}" not in said  # no traceback of ours
    if newest == STEPS:
        assert equal(weights(folder), weights(whole))
        return
    if newest:
        shutil.copytree(folder, alone)
    statuses, said = ended(launch("--resume", str(folder)) if newest else new(folder))
    assert statuses == [0, 0], said
    assert equal(weights(folder), weights(whole))
    if newest:
        train(Recipe.read("ugatit_small", SETTINGS | {"train.batch_size": 2}), alone, checkpoint.find(alone))
        assert_near(alone, whole, start)
