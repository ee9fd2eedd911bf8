"""A look at a stranger's pickle before torch reads it: opcode by opcode, nothing in it is imported or called.

torch's reader (`weights_only`) runs no foreign code, but a pickle can make it hash nested tuples for years or allocate
what no file backs. Only what is made of tensors, plain containers and plain values is let through to it.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

MOST_BYTES = 2**26
"""Of one pickle; those of checkpoints have some hundred bytes for each tensor."""
MOST_OPCODES = 2**20
"""About thirty for each tensor."""
_MARK = object()


class Refused(Exception):  # noqa: N818 - says what a file holds, not that this is an error
    """A pickle that holds more than tensors; the message is what loading it would call."""


class Damaged(ValueError):  # noqa: N818 - as above
    """A pickle that makes no sense, or more than `MOST_OPCODES`."""


@dataclass(frozen=True)
class Named:
    """A class or function that a pickle names; never imported."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Numbers that lie elsewhere in the file.

    Args:
        kind: such as `FloatStorage`.
        key: of the place where they lie.
        count: how many the pickle says they are.
    """

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class View:
    """A tensor: a storage from `offset` on, in steps of `stride`; what the pickle says of them is not looked at."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


def _pairs(*arguments: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for pairs in arguments:
        for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
            found[_key(key)] = value
    return found


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _pairs,
    "collections.Counter": _pairs,
    "torch._utils._rebuild_tensor": View,
    "torch._utils._rebuild_tensor_v2": lambda storage, offset, size, stride, *_: View(storage, offset, size, stride),
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch.Size": lambda size: size,
    "torch.device": lambda *where: ":".join(map(str, where[:2])) if all(map(_short, where)) else "",
    "builtins.set": lambda items: list(items),
    "__builtin__.set": lambda items: list(items),
}
"""What a pickle may ask for, and what it gets; containers become plain ones."""


def printable(name: object) -> str:
    """A stranger's name as a short line that cannot steer a terminal."""
    text = str(name)[:80].encode("unicode_escape").decode("ascii")
    return text if len(text) < 80 else f"{text[:77]}..."


def _short(value: object) -> bool:
    return isinstance(value, str | int) and len(str(value)) < 32


def _key(key: object) -> object:
    if key is None or isinstance(key, str | bytes | int | float):
        return key
    raise Damaged(f"a key that is a {type(key).__name__}")  # the hash of nested tuples takes for ever


def _stored(identity: Any) -> Storage:
    """`("storage", class, key, device, count)`, and a view of it in old files, which torch has long stopped writing."""
    match identity:
        case ("storage", Named(name), str(key), _, int(count)) | (
            "storage",
            Named(name),
            str(key),
            _,
            int(count),
            None,
        ):
            return Storage(name.rpartition(".")[2], key, count)
        case ("module", Named(name), *_):
            raise Refused(printable(name))
    raise Damaged("a storage that is none")


@dataclass(frozen=True)
class Pickle:
    """What a pickle holds.

    Args:
        value: plain values, with `View` where there is a tensor; containers may hold each other, or themselves.
        size: its bytes.
        storages: of which it speaks, by key.
    """

    value: Any
    size: int
    storages: dict[str, Storage]


def read(data: bytes) -> Pickle:
    """The first pickle in some bytes.

    Raises:
        Refused: it would call something else than what makes tensors.
        Damaged: anything else.
    """
    machine = _Machine()
    stream = BytesIO(data[:MOST_BYTES])
    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number >= MOST_OPCODES:
            raise Damaged(f"more than {MOST_OPCODES} opcodes")
        if opcode.name == "STOP":
            break
        machine.do(opcode.name, argument)
    return Pickle(machine.stack.pop(), stream.tell(), machine.storages)


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def do(self, name: str, argument: Any) -> None:
        push = self.stack.append
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                push(_MARK)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                push({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE" | "EMPTY_SET":
                push({} if name == "EMPTY_DICT" else () if name == "EMPTY_TUPLE" else [])
            case "TUPLE":
                push(tuple(self._to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                push(tuple(self._pop() for _ in range(count))[::-1])
            case "APPEND" | "APPENDS" | "ADDITEMS":
                items = [self._pop()] if name == "APPEND" else self._to_mark()
                self._top(list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = [self._pop(), self._pop()][::-1] if name == "SETITEM" else self._to_mark()
                self._top(dict).update(_pairs(zip(items[::2], items[1::2], strict=True)))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self._top()
            case "MEMOIZE":
                self.memo[len(self.memo)] = self._top()
            case "BINGET" | "LONG_BINGET":
                push(self.memo[argument])
            case "GLOBAL":
                push(Named(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                attribute, module = self._pop(), self._pop()
                push(Named(f"{module}.{attribute}" if _short(module) and _short(attribute) else "something"))
            case "BINPERSID":
                storage = _stored(self._pop())
                if self.storages.setdefault(storage.key, storage) != storage:
                    raise Damaged("one storage of two sizes")
                push(storage)
            case "REDUCE" | "NEWOBJ":
                self._call()
            case "BUILD":  # what a dict of an older class has beside its items, such as a state's versions
                self._pop()
                self._top(dict)
            case _ if argument is not None and name.startswith(("BIN", "SHORT_BIN", "LONG", "INT", "FLOAT", "UNICODE")):
                push(argument)  # numbers and texts
            case _:
                raise Damaged(f"the opcode {name}")

    def _call(self) -> None:
        arguments, called = self._pop(), self._pop()
        if not isinstance(called, Named) or called.name not in CALLS:
            name = called.name if isinstance(called, Named) else "something"
            raise Refused(printable(name.removeprefix("builtins.").removeprefix("__builtin__.")))
        self.stack.append(CALLS[called.name](*arguments))

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise Damaged("a mark too many")
        return value

    def _top(self, kind: type = object) -> Any:
        if not isinstance(self.stack[-1], kind) or self.stack[-1] is _MARK:
            raise Damaged(f"a {type(self.stack[-1]).__name__} for a {kind.__name__}")
        return self.stack[-1]

    def _to_mark(self) -> list[Any]:
        items: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]
