"""What i2i relies on of torch that has no public name: each use fails here first when torch changes it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from i2i.nn.private_torch import VALUE_NEEDED, compiler_error, fake_tensors

PACKAGE = Path(__file__).parents[2] / "i2i"


def test_fake_tensors_have_shapes_types_and_devices_and_no_memory() -> None:
    with fake_tensors():
        made = torch.nn.Conv2d(3, 8, 3)(torch.empty(10_000, 3, 1000, 1000))
        assert made.shape == (10_000, 8, 998, 998)
        assert (made.device.type, made.dtype) == ("cpu", torch.float32)
        mask = torch.ones(1, device=made.device)  # on the device `meta` it would be one that holds no values either
        assert (made * mask).shape == made.shape


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
    ],
)
def test_asking_a_fake_tensor_for_values_raises_one_of_these(look: object) -> None:
    assert callable(look)
    with fake_tensors(), pytest.raises(VALUE_NEEDED):
        look(torch.empty(3))


def test_real_tensors_may_take_part() -> None:
    real = torch.ones(3)
    with fake_tensors():
        assert (torch.empty(2, 3) * real).shape == (2, 3)


def test_the_compilers_error_is_an_exception() -> None:
    assert issubclass(compiler_error(), RuntimeError)


def test_nothing_private_of_torch_or_accelerate_is_used_elsewhere() -> None:
    """Names that begin with an underscore, in imports of torch and Accelerate and on their modules and classes."""
    used = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.name in ("private_torch.py", "private_accelerate.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("torch", "accelerate"):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Attribute):
                names = ast.unparse(node).split(".")
                chained = all(name.isidentifier() for name in names)
                names = names if chained and names[0] in ("torch", "nn", "accelerate", "AcceleratorState") else []
            if any(name.startswith("_") and not name.startswith("__") for name in names):
                used[f"{file.relative_to(PACKAGE)}:{node.lineno}"] = ".".join(names)
    assert used == {}
