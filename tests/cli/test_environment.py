"""`i2i env` prints what a report of a problem needs, and no secret."""

from __future__ import annotations

import platform

import pytest
import torch

from i2i.cli import run


def test_versions_devices_and_plugins(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("I2I_TOKEN", "hunter2")
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    monkeypatch.setenv("I2I_MAX_PIXELS", "123")
    assert run(["env"]) == 0
    printed = capsys.readouterr().out
    lines = {line.split("  ")[0].strip(): line.split("  ", 1)[1].strip() for line in printed.splitlines()}
    assert lines["python"].startswith(platform.python_version())
    assert lines["torch"].startswith(torch.__version__)
    assert "cpu" in lines["devices"]
    assert lines["weights"]
    assert "torch " in lines["packages"]
    assert "MISSING" not in lines["packages"]
    assert lines["extra video"].startswith("av ")
    assert "I2I_MAX_PIXELS=123" in lines["variables"]
    assert "hunter2" not in printed
