"""NVlabs network pickles, read without executing anything from them.

A pickle names functions and calls them. Here the few names that such files need stand for functions of this file, which
only keep what they are given; the source code that the files carry is ignored, and any other name is refused.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.errors import CheckpointError
from i2i.nn.weight_files import MAX_OPCODES, printable

MAX_BYTES = 2**32
"""Largest file that is read."""
NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
"""Types of NumPy numbers that are read."""


class Record:
    """A pickled module as plain data: its class's name and its attributes."""

    def __init__(self, meta: Mapping[str, Any]) -> None:
        if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("state"), dict):
            raise ValueError("a module of an unknown layout")
        self.class_name, self.attributes = str(meta.get("class_name")), dict(meta["state"])

    def __setstate__(self, state: object) -> None:
        raise ValueError("a module whose attributes are set twice")

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the module's constructor."""
        options = self.attributes.get("_init_kwargs", {})
        return dict(options) if isinstance(options, dict) else {}

    def tensors(self, depth: int = 0) -> dict[str, Tensor]:
        """Return all parameters and buffers by name, as a state dict has them."""
        if depth > 16:
            raise ValueError("modules that contain themselves")
        found: dict[str, Tensor] = {}
        for kind in ("_parameters", "_buffers"):
            for name, value in dict(self.attributes.get(kind, {})).items():
                if isinstance(value, Tensor):
                    found[str(name)] = value
        for name, module in dict(self.attributes.get("_modules", {})).items():
            if isinstance(module, Record):
                found |= {f"{name}.{key}": value for key, value in module.tensors(depth + 1).items()}
        return found


class Options(dict[str, Any]):
    """What the files call an EasyDict."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.update(state)


class _Dtype:
    """A type of NumPy numbers, by name."""

    def __init__(self, name: object, *rest: object) -> None:
        self.name = str(name)
        if self.name.lstrip("<|=>") not in NUMBERS:
            raise ValueError(f"NumPy numbers of the type {printable(self.name)}")

    def __setstate__(self, state: object) -> None:
        """Byte order and flags, which numbers of these types need none of."""


def _scalar(dtype: object, data: object = b"") -> float | int:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes) or len(data) > 8:
        raise ValueError("a NumPy number of an unknown layout")
    number: float | int = np.frombuffer(data, np.dtype(dtype.name.lstrip("<|=>"))).item()
    return number


def _storage(data: object) -> torch.UntypedStorage | torch.storage.TypedStorage:
    """Read the tensor data that torch has nested into the pickle as a file of its own."""
    if not isinstance(data, bytes):
        raise ValueError("tensor data of an unknown layout")
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.UntypedStorage | torch.storage.TypedStorage):
        raise ValueError("tensor data of an unknown layout")
    return storage


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: object) -> Tensor:
    if not isinstance(storage, torch.storage.TypedStorage) or len(size) > 8 or len(size) != len(stride):
        raise ValueError("a tensor of an unknown layout")
    numbers = [offset, *size, *stride]
    if not all(isinstance(number, int) and 0 <= number < 2**40 for number in numbers):
        raise ValueError("a tensor of an impossible shape")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.size():
        raise ValueError("a tensor of more numbers than are in the file")
    view = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage, offset, tuple(size), tuple(stride))
    return view.clone()


def _parameter(data: Any, *rest: object) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError("a parameter that is no tensor")
    return data


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): Record,
    ("dnnlib.util", "EasyDict"): Options,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
}
"""All that such a pickle may name, and what stands for it here."""


class _RefusedError(ValueError):
    """A name that no network pickle needs."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _RefusedError(f"{module}.{name}")
        return ALLOWED[module, name]

    def persistent_load(self, pid: object) -> Any:
        raise ValueError("a reference to something outside of the file")


def load_pickle(path: Path) -> dict[str, Any]:
    """Read an NVlabs network pickle; no code of it is run.

    Returns:
        The entries of the file, such as `G_ema`: modules as `Record`.

    Raises:
        CheckpointError: the file is missing, is something else, or names anything but the parts of networks.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a network pickle, found {'a folder' if path.is_dir() else 'nothing'}")
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path}: expected at most {MAX_BYTES} bytes")
    data = path.read_bytes()
    try:
        for number, _ in enumerate(pickletools.genops(data)):
            if number > MAX_OPCODES:
                raise ValueError(f"a pickle of more than {MAX_OPCODES} opcodes")
        content = _Unpickler(io.BytesIO(data)).load()
    except _RefusedError as error:
        name = printable(error)
        if name.startswith("dnnlib.tflib"):
            raise CheckpointError(
                f"{path}: a pickle of the TensorFlow version; convert it first with legacy.py of "
                f"NVlabs/stylegan2-ada-pytorch, or import rosinality's conversion"
            ) from error
        if name.startswith("numpy") and b"class SynthesisInput(" in data:  # sizes of its layers are arrays
            raise CheckpointError(f"{path}: expected a generator of StyleGAN2, found one of StyleGAN3") from error
        raise CheckpointError(f"{path}: refused, since it holds more than networks: it would call {name}") from error
    except RecursionError as error:
        raise CheckpointError(f"{path}: expected a network pickle, found one nested too deeply") from error
    except Exception as error:  # damaged files raise nearly anything: IndexError, KeyError, UnicodeError
        reason = f": {printable(error)}" if type(error) is ValueError else ""
        raise CheckpointError(
            f"{path}: expected a network pickle, found something else or a damaged one{reason}"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("G_ema"), Record):
        raise CheckpointError(f"{path}: expected a pickle with the network G_ema")
    return content
