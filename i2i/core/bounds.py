"""Bounds that many options share, so that a recipe's check names the line of a value that no network could have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Depth = Annotated[int, Field(gt=0, le=64)]
"""Layers or blocks: each makes a network deeper, and past the bound the mistake is a typing one."""
