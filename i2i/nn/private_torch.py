"""All that i2i uses of torch and has no public name yet; `tests/nn/test_private_torch.py` says what it relies on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses import fake_tensor
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode
from torch.utils._pytree import tree_leaves as tree_leaves

VALUE_NEEDED = (
    NotImplementedError,
    fake_tensor.DataDependentOutputException,
    fake_tensor.DynamicOutputShapeException,
    fake_tensor.UnsupportedFakeTensorException,
    fake_tensor.UnsupportedOperatorException,
)
"""What is raised where fake tensors are asked for values, or an operation has no implementation for them."""


def fake_tensors() -> fake_tensor.FakeTensorMode:
    """Return a context in which tensors have shapes, types and devices, but no memory and no values.

    Tensors on the device `meta`, the public alternative, say of themselves that they are on `meta`: code that creates
    a mask on `image.device`, as many losses do, then mixes it with real tensors.
    """
    logging.getLogger(fake_tensor.__name__).setLevel(logging.CRITICAL)  # callers report what fails
    return fake_tensor.FakeTensorMode(allow_non_fake_inputs=True)


def compile_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors once for all shapes, and once for each combination of its other arguments."""
    raise_recompile_limit()  # every norm, activation and padding of a recipe is a combination
    return torch.compile(function, dynamic=True, fullgraph=True)


def raise_recompile_limit() -> None:
    """Let torch compile one function 64 times, instead of 8, before it runs uncompiled."""
    from torch._dynamo import config

    config.recompile_limit = max(int(config.recompile_limit), 64)


def compiler_errors() -> tuple[type[Exception], ...]:
    """Return the classes of all errors of the compiler; imported when asked for, as it takes a second."""
    import torch._dynamo.exc
    import torch._inductor.exc

    return torch._dynamo.exc.TorchDynamoException, torch._inductor.exc.InductorError


def lengths_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the Euclidean length of each tensor, all in one operation."""
    return list(torch._foreach_norm(tensors))  # type: ignore[arg-type]


def copy_all_(targets: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy each value into its target, all in one operation."""
    torch._foreach_copy_(targets, values)  # type: ignore[arg-type]


def set_parameter(module: nn.Module, name: str, value: nn.Parameter) -> None:
    """Replace a parameter of a module; its other attributes are not searched for the name, as assigning one does."""
    module._parameters[name] = value


def reflection_pad_backward(gradient: Tensor, x: Tensor, padding: int) -> Tensor:
    """Return the gradient of `x` for that of `F.pad(x, 4 * (padding,), mode="reflect")`."""
    return cast(Tensor, torch.ops.aten.reflection_pad2d_backward(gradient, x, [padding] * 4))


def has_hooks(module: nn.Module) -> bool:
    """Return whether anything is called before or after a module's forward or backward pass."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def is_compiled(module: nn.Module) -> bool:
    """Return whether `module.compile` has been called."""
    return module._compiled_call_impl is not None


def compiler_error() -> type[Exception]:
    """Return the class of errors of the compiler's backend; imported when asked for, as it takes a second."""
    import torch._dynamo.exc

    return torch._dynamo.exc.BackendCompilerFailed
