"""The log after kills and crashes: whole up to the checkpoint, whatever a disk has made of its end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from i2i.engine.hooks.log import NAME, _truncate_after

LINES = [json.dumps({"event": "step", "step": step}) + "\n" for step in range(1, 6)]


def test_what_a_crash_left_at_the_end_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes("".join(LINES).encode() + b'{"event": "st\xff\x00\x00\n7\n{"step": "x"}\n')
    _truncate_after(path, 3)
    assert path.read_text() == "".join(LINES[:3])
    assert [file.name for file in tmp_path.iterdir()] == [NAME]


def test_a_kill_while_it_is_written_anew_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAME
    path.write_text("".join(LINES))

    def killed(*names: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        _truncate_after(path, 3)
    assert path.read_text() == "".join(LINES)
