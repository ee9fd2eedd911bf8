"""All that i2i uses of torch and has no public name yet; `tests/nn/test_private_torch.py` says what it relies on."""

from __future__ import annotations

import logging

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


def compiler_error() -> type[Exception]:
    """Return the class of errors of the compiler's backend; imported when asked for, as it takes a second."""
    import torch._dynamo.exc

    return torch._dynamo.exc.BackendCompilerFailed
