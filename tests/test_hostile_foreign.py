"""Files that would make a reader hang, or take memory that nothing in them backs: a line, quickly, in little memory."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import time
import tracemalloc
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from i2i.errors import CheckpointError
from i2i.nn.foreign import load
from i2i.nn.foreign.pickles import MOST_OPCODES

PROTO, STOP = b"\x80\x02", b"."
NESTED = (
    b"()q\x00" + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60)) + b"t"
)
LISTS = (
    b"(]q\x00"
    + b"".join(b"]q" + bytes([i + 1]) + b"(h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(60))
    + b"t"
)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def storage(count: int = 4, kind: str = "FloatStorage", key: str = "0") -> bytes:
    return (
        b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu") + number(count) + b"tQ"
    )


def number(value: int) -> bytes:
    raw = value.to_bytes(16, "little", signed=True)
    return b"\x8a\x10" + raw


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, count: int = 4) -> bytes:
    begin = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(count) + number(offset)
    return begin + numbers(*shape) + numbers(*stride) + b"\x89}tR"


def named(value: bytes) -> bytes:
    return PROTO + b"}" + text("w") + value + b"s" + STOP


def calls(module: str, name: str, arguments: bytes) -> bytes:
    return named(b"c" + module.encode() + b"\n" + name.encode() + b"\n" + arguments + b"R")


def archive(data: bytes, **more: Any) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", **more) as file:
        file.writestr("x/data.pkl", data)
        file.writestr("x/data/0", bytes(16))
        file.writestr("x/version", "3\n")
    return made.getvalue()


def stream(data: bytes, claimed: int = 4) -> bytes:
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = b"".join(pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, system))
    return head + data + pickle.dumps(["0"] if b"Storage" in data else [], 2) + struct.pack("<q", claimed) + bytes(16)


PICKLES: dict[str, tuple[bytes, str]] = {
    "tuples that hold each other, as a key": (PROTO + b"}" + NESTED + b"K\x01s" + STOP, "a key that is a tuple"),
    "tuples that hold each other, in a set": (
        PROTO + b"}" + text("w") + b"c__builtin__\nset\n]" + NESTED + b"a\x85Rs" + STOP,
        "containers that unfold to ",
    ),
    "lists that hold each other": (named(LISTS), "containers that unfold to "),
    "a list that holds itself": (named(b"]q\x00h\x00a"), "containers that hold themselves, or too many others in"),
    "a dict that holds itself": (named(b"}q\x00" + text("x") + b"h\x00s"), "containers that hold themselves, or too"),
    "lists, each in the next": (named(b"]" * 10_000 + b"a" * 9_999), "containers that hold themselves, or too many"),
    "a million opcodes": (named(b"N0" * MOST_OPCODES), "the opcode POP"),
    "millions of values": (named(b"(" + b"N" * MOST_OPCODES + b"t"), f"more than {MOST_OPCODES} opcodes"),
    "a number of a billion bytes": (named(b"\x8b" + struct.pack("<i", 2**30)), "something else or a damaged one"),
    "a text of four billion bytes": (named(b"X\xff\xff\xff\xff"), "something else or a damaged one"),
    "a number of a million digits": (named(b"I" + b"9" * 10**6 + b"\n"), "something else or a damaged one"),
    "a shape of 10^12 with stride 0": (named(tensor((10**12,), (0,))), "a tensor [1000000000000] of 4 numbers"),
    "a shape whose product overflows": (named(tensor((2**40, 2**40), (0, 0))), "of 4 numbers"),
    "a shape of 1 beyond its end": (named(tensor((1,), (1,), offset=4)), "a tensor [1] of 4 numbers"),
    "a negative offset": (named(tensor((1,), (1,), offset=-1)), "a tensor that is none"),
    "a negative stride": (named(tensor((2,), (-1,), offset=2)), "a tensor that is none"),
    "a stride too few": (named(tensor((2, 2), (1,))), "something else or a damaged one"),
    "a thousand dimensions": (named(tensor((1,) * 1000, (1,) * 1000)), "of 4 numbers"),
    "an empty tensor that is long": (named(tensor((2**40, 0), (1, 1))), "a tensor [1099511627776, 0] of 4 numbers"),
    "a storage of 2^40 numbers": (named(tensor((4,), (1,), count=2**40)), "a storage"),
    "a storage of no known type": (named(storage(kind="QInt8Storage")), "numbers of an unknown type, QInt8Storage"),
    "a storage of two sizes": (named(b"(" + storage(4) + storage(2) + b"t"), "one storage of two sizes"),
    "one storage for 10000 tensors": (
        named(b"(" + tensor((4,), (1,)) + b"q\x00" + b"h\x00" * 10_000 + b"t"),
        "containers that unfold to 10002 values and 160016 bytes of numbers",
    ),
    "a mark too many": (named(b"((" + b"a"), "a mark too many"),
    "an extension": (named(b"\x82\x01"), "something else or a damaged one"),
    "a bytearray of a terabyte": (calls("builtins", "bytearray", number(2**40) + b"\x85"), "would call bytearray"),
    "a sparse tensor": (
        calls("torch._utils", "_rebuild_sparse_tensor", b")"),
        "would call torch._utils._rebuild_sparse",
    ),
    "a quantized tensor": (calls("torch._utils", "_rebuild_qtensor", b")"), "would call torch._utils._rebuild_qtensor"),
    "a subclass": (
        calls("torch._tensor", "_rebuild_from_type_v2", b")"),
        "would call torch._tensor._rebuild_from_type",
    ),
    "a tensor without memory": (
        calls("torch._utils", "_rebuild_meta_tensor_no_storage", b")"),
        "would call torch._utils._rebuild_meta_tensor_no_storage",
    ),
    "an array of objects": (
        calls("numpy.core.multiarray", "_reconstruct", b")"),
        "would call numpy.core.multiarray._re",
    ),
    "an object's own state": (named(b"c__main__\nX\n)\x81}b"), "would call __main__.X"),
    "what steers a terminal": (calls("\x1b[2J", "x\ty", b")"), r"would call \x1b[2J.x\ty"),
    "a module of a hundred thousand letters": (calls("x" * 10**5, "y", b")"), "xxx..."),
}


def told(path: Path, memory: int = 2**26, seconds: float = 8) -> str:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(CheckpointError) as caught:
            load(path)
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < seconds  # tracemalloc itself makes it five times as long
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < len(str(path)) + 200
    return message


FORMS = {"archive": archive, "stream": stream}
CASES = [(case, form) for case in PICKLES for form in FORMS]
CASES.remove(("millions of values", "stream"))  # seconds to count the same opcodes again


@pytest.mark.parametrize(("case", "form"), CASES)
def test_a_pickle_takes_neither_time_nor_memory(case: str, form: str, tmp_path: Path) -> None:
    data, reason = PICKLES[case]
    path = tmp_path / "evil.pt"
    path.write_bytes(FORMS[form](data))
    assert reason in told(path, 2**27 if "million" in case else 2**24)


def test_what_is_sound_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "good.pt"
    path.write_bytes(archive(named(tensor((2, 2), (1, 2)))))
    loaded = load(path)
    assert isinstance(loaded, dict)
    assert torch.equal(loaded["w"], torch.zeros(2, 2))


def test_dtypes_views_and_shared_storages_are_those_of_torch(tmp_path: Path) -> None:
    base = torch.arange(24.0)
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8)
    wanted = {
        **{str(kind): torch.arange(5).to(kind) for kind in (*kinds, torch.uint8, torch.bool)},
        **{"part": base[3:9], "turned": base.view(4, 6).t(), "whole": base, "empty": torch.empty(0, 3)},
        **{"parameter": torch.nn.Parameter(base[:2].clone()), "number": torch.tensor(3.5)},
        "state": torch.nn.BatchNorm2d(3).state_dict(),
        "plain": {"lr": 1e-3, "betas": (0.5, 0.999), "steps": [1, None, True, "x", 2**70], 3: {}},
    }
    for archived in (True, False):
        torch.save(wanted, tmp_path / "x.pt", _use_new_zipfile_serialization=archived)
        got = load(tmp_path / "x.pt")
        assert isinstance(got, dict)
        assert list(got) == list(wanted)
        flat = {**got, **got.pop("state")}
        for name, value in {**wanted, **wanted["state"]}.items():
            if isinstance(value, torch.Tensor):
                assert flat[name].dtype == value.dtype
                assert torch.equal(flat[name], value), name
        assert got["plain"] == wanted["plain"]
        got["whole"].zero_()  # what is read may be changed; the file stays
    assert torch.equal(load(tmp_path / "x.pt")["whole"], base)  # type: ignore[index]


@cache
def bombs() -> dict[str, tuple[bytes, str]]:
    sound = named(tensor((4,), (1,)))
    whole = archive(sound)
    end = whole.rfind(b"PK\5\6")
    many = bytearray(whole)
    many[end + 12 : end + 16] = struct.pack("<I", 2**30)
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", sound + bytes(2**24))
    inner = archive(twice.getvalue())
    padded = io.BytesIO()
    with zipfile.ZipFile(padded, "w") as file:
        file.writestr("x/data.pkl", sound + bytes(2**24), zipfile.ZIP_DEFLATED)
        file.writestr("x/data/0", bytes(2**25))
    return {
        "deflated": (archive(sound + bytes(2**24), compression=zipfile.ZIP_DEFLATED), "refused, since it would unpack"),
        "deflated and padded": (
            padded.getvalue(),
            "torch.save does not compress",
        ),
        "a directory of a gigabyte": (bytes(many), "an archive's directory of 1073741824 bytes"),
        "an archive in an archive": (inner, "something else or a damaged one"),
        "no pickle": (whole.replace(b"data.pkl", b"dada.pkl"), "something else or a damaged one"),
        "a storage that is not there": (whole.replace(b"x/data/0", b"x/data/1"), "something else or a damaged one"),
        "a stream whose storage claims more": (stream(sound, 2**60), "a storage that does not have 4 numbers"),
        "a stream that is cut off": (stream(sound)[:-8], "more numbers than are in the file"),
        "a stream of another machine": (stream(sound).replace(b"\x88", b"\x89", 1), "not little-endian"),
    }


@pytest.mark.parametrize("case", list(bombs()))
def test_files_are_not_larger_than_they_are(case: str, tmp_path: Path) -> None:
    data, reason = bombs()[case]
    path = tmp_path / "evil.pt"
    path.write_bytes(data)
    assert reason in told(path)


def directory(data: bytes) -> tuple[bytes, bytes, bytes]:
    """An archive's entries, its directory and its end."""
    end = data.rfind(b"PK\5\6")
    size, offset = struct.unpack("<II", data[end + 12 : end + 20])
    return data[:offset], data[offset : offset + size], data[end:]


def two_faced() -> bytes:
    """An archive in which Python finds a good pickle, and a reader that goes where the end points a bad one."""
    good, bad = (directory(archive(data)) for data in (named(b"N"), PROTO + b"}" + NESTED + b"K\x01s" + STOP))
    moved, at = bytearray(good[1]), 0
    while at < len(moved):
        lengths = struct.unpack("<HHH", moved[at + 28 : at + 34])
        place = struct.unpack("<I", moved[at + 42 : at + 46])[0] + len(bad[0]) - len(good[0])
        moved[at + 42 : at + 46] = struct.pack("<I", place)
        at += 46 + sum(lengths)
    end = good[2][:16] + struct.pack("<I", len(bad[0])) + good[2][20:]
    return bad[0] + bad[1] + good[0] + bytes(moved) + end


def several(*names: str) -> bytes:
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as file:
        warnings.simplefilter("ignore")  # zipfile's, of names that are there twice
        for name in names:
            file.writestr(name, named(b"N"))
    return made.getvalue()


def test_two_readers_do_not_see_two_archives(tmp_path: Path) -> None:
    sound, path = archive(named(b"N")), tmp_path / "evil.pt"
    path.write_bytes(two_faced())
    with zipfile.ZipFile(path) as file:
        assert file.read("x/data.pkl") == named(b"N")  # so far for Python
    for data, reason in [
        (two_faced(), "an archive whose directory is elsewhere than it says"),
        (b"before" + sound, "an archive whose directory is elsewhere than it says"),
        (sound[:-2] + b"\7\0" + b"comment", "an archive with something behind its end"),
        (several("x/data.pkl", "x/data.pkl"), "two entries of one name"),
        (several("x/data.pkl", "X/DATA.pkl"), "two entries of one name"),
        (several("y/version", "x/data.pkl", "y/data.pkl"), "two entries of one name"),
    ]:
        path.write_bytes(data)
        assert reason in told(path)
    path.write_bytes(sound)
    assert load(path) == {"w": None}


def test_the_wide_end_of_archives_of_many_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    data, path = archive(named(tensor((2, 2), (1, 2)))), tmp_path / "wide.pt"
    assert data[-42:-38] == b"PK\6\7"
    path.write_bytes(data)
    assert torch.equal(load(path)["w"], torch.zeros(2, 2))  # type: ignore[index]
    for place in (-98 + 40, -98 + 48, -42 + 8):  # size and place of the directory, place of the wide end
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        told(path)


@pytest.mark.skipif(sys.platform == "win32", reason="files with holes")
@pytest.mark.parametrize("begin", [b"", b"PK\3\4", pickle.dumps(7, 2)])
def test_a_hole_of_a_terabyte_is_not_read(begin: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hole.pt"
    path.write_bytes(begin)
    with path.open("r+b") as file:
        file.truncate(2**40)
    told(path, 2**28)
