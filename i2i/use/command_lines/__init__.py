"""Command lines of other codes as recipes."""

from __future__ import annotations

from typing import Literal, get_args

Code = Literal["cyclegan", "cut", "ugatit-pytorch", "ugatit-tensorflow"]
CODES: tuple[Code, ...] = get_args(Code)
"""Codes whose command lines can be converted."""
