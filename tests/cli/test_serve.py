"""`i2i serve` says where it can be reached, and stops when asked."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from i2i.cli import run
from i2i.engine.run import Run
from i2i.engine.stepper import Stepper
from i2i.recipe.recipe import Recipe

pytest.importorskip("uvicorn", reason="needs i2i[serve]")
httpx = pytest.importorskip("httpx")


@pytest.mark.thorough
def test_the_command(tiny_settings: Mapping[str, object], tmp_path: Path) -> None:
    recipe = Recipe.read("ugatit_small", dict(tiny_settings))
    Run(tmp_path / "run", recipe, Stepper(recipe), dataset=None).save()
    arguments = [sys.executable, "-m", "i2i", "serve", "run", "run/checkpoints/step-0000000", "--port", "0"]
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(
            r"serving run, step-0000000 at (http://127\.0\.0\.1:\d+)/ and \1/docs; only this machine can reach it\n",
            line,
        )
        assert found, line
        assert httpx.get(f"{found[1]}/health", timeout=20).json()["models"] == ["run", "step-0000000"]
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
        assert rest == ""
        assert process.returncode in (0, -signal.SIGTERM)
    finally:
        process.kill()


def test_a_missing_extra_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["serve", "runs/none"]) == 2
    assert capsys.readouterr().err == "error: serve needs uvicorn; install i2i[serve]\n"


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "runs/none", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot serve at 127.0.0.1, port {port}: another program uses it; choose another")
