"""Weight files made to hang a reader or to take memory that nothing in them backs: refused quickly and in words."""

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
from i2i.nn.weight_files import MAX_OPCODES, load_weight_file

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
    data = data.replace(b"tQ", b"NtQ")  # where a view of the storage stood in very old files
    return head + data + pickle.dumps(["0"] if b"Storage" in data else [], 2) + struct.pack("<q", claimed) + bytes(16)


DAMAGED = "something else or a damaged one"
PICKLES: dict[str, tuple[bytes, str]] = {
    "tuples that contain each other, as a key": (
        PROTO + b"}" + NESTED + b"K\x01s" + STOP,
        "containers that unfold to ",
    ),
    "nested tuples in a set": (
        PROTO + b"}" + text("w") + b"c__builtin__\nset\n]" + NESTED + b"a\x85Rs" + STOP,
        "containers that unfold to ",
    ),
    "a deep tuple as a key": (PROTO + b"})" + b"\x85" * 10_000 + b"K\x01s" + STOP, "in 65 levels"),
    "lists that contain each other": (named(LISTS), "containers that contain themselves, or each other too many"),
    "a list that contains itself": (named(b"]q\x00h\x00a"), "containers that contain themselves, or each other"),
    "a dict that contains itself": (named(b"}q\x00" + text("x") + b"h\x00s"), "containers that contain themselves, or"),
    "lists, each in the next": (named(b"]" * 10_000 + b"a" * 9_999), "in 65 levels"),
    "half a million POP": (named(b"N0" * MAX_OPCODES), "the opcode POP"),
    "a million values": (named(b"(" + b"N" * MAX_OPCODES + b"t"), f"more than {MAX_OPCODES} opcodes"),
    "an integer of a billion bytes": (named(b"\x8b" + struct.pack("<i", 2**30)), DAMAGED),
    "a text of four billion bytes": (named(b"X\xff\xff\xff\xff"), DAMAGED),
    "an integer of a million digits": (named(b"I" + b"9" * 10**6 + b"\n"), DAMAGED),
    "a shape of 10^12 with stride 0": (named(tensor((10**12,), (0,))), "a tensor [1000000000000] of more numbers"),
    "a shape whose product overflows": (named(tensor((2**40, 2**40), (0, 0))), DAMAGED),
    "a shape of 1 beyond its end": (named(tensor((1,), (1,), offset=4)), DAMAGED),
    "a negative offset": (named(tensor((1,), (1,), offset=-1)), DAMAGED),
    "a negative stride": (named(tensor((2,), (-1,), offset=2)), DAMAGED),
    "a stride too few": (named(tensor((2, 2), (1,))), DAMAGED),
    "a thousand dimensions": (named(tensor((1,) * 1000, (1,) * 1000)), "of more numbers than are in the file"),
    "an empty tensor that is long": (named(tensor((2**40, 0), (1, 1))), "a tensor [1099511627776, 0] of more numbers"),
    "a tensor and a storage of 2^40 numbers": (named(tensor((2**40,), (1,), count=2**40)), DAMAGED),
    "a storage of a quantized type": (named(storage(kind="QInt8Storage")), "would call torch.QInt8Storage"),
    "storages that are no tensors": (named(b"(" + storage(4) + storage(2) + b"t"), "a TypedStorage among tensors"),
    "one storage for 10000 tensors": (
        named(b"(" + tensor((4,), (1,)) + b"q\x00" + b"h\x00" * 10_000 + b"t"),
        "a tensor [4] of more numbers than are in the file",
    ),
    "more values taken than are there": (named(b"((" + b"a"), "a pickle that takes more values than it has"),
    "an extension": (named(b"\x82\x01"), DAMAGED),
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


def refusal(path: Path, memory: int = 2**26, seconds: float = 8) -> str:
    """The message with which a file is refused, within these bounds of memory and time."""
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(CheckpointError) as caught:
            load_weight_file(path)
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
CASES.remove(("a million values", "stream"))  # takes seconds to count the same opcodes again


@pytest.mark.thorough
@pytest.mark.parametrize(("case", "form"), CASES)
def test_a_pickle_takes_neither_time_nor_memory(case: str, form: str, tmp_path: Path) -> None:
    data, reason = PICKLES[case]
    path = tmp_path / "evil.pt"
    path.write_bytes(FORMS[form](data))
    assert reason in refusal(path, 2**27 if "million" in case else 2**26)


def test_a_valid_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "good.pt"
    path.write_bytes(archive(named(tensor((2, 2), (1, 2)))))
    loaded = load_weight_file(path)
    assert isinstance(loaded, dict)
    assert torch.equal(loaded["w"], torch.zeros(2, 2))


def test_attributes_that_a_pickle_sets_are_not_called(tmp_path: Path) -> None:
    """An OrderedDict whose `items` is a number."""
    path = tmp_path / "odd.pt"
    ordered = b"ccollections\nOrderedDict\n)R" + text("w") + tensor((4,), (1,)) + b"s"
    path.write_bytes(archive(PROTO + ordered + b"}" + text("items") + b"K\x07s" + text("keys") + b"K\x07sb" + STOP))
    loaded = load_weight_file(path)
    assert type(loaded) is dict
    assert list(loaded) == ["w"]


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
        got = load_weight_file(tmp_path / "x.pt")
        assert isinstance(got, dict)
        assert list(got) == list(wanted)
        flat = {**got, **got.pop("state")}
        for name, value in {**wanted, **wanted["state"]}.items():
            if isinstance(value, torch.Tensor):
                assert flat[name].dtype == value.dtype
                assert torch.equal(flat[name], value), name
        assert got["plain"] == wanted["plain"]
        got["whole"].zero_()  # what is read may be changed; the file stays
    assert torch.equal(load_weight_file(tmp_path / "x.pt")["whole"], base)  # type: ignore[index]


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
        "deflated": (archive(sound + bytes(2**24), compression=zipfile.ZIP_DEFLATED), "torch.save does not compress"),
        "deflated and padded": (
            padded.getvalue(),
            "torch.save does not compress",
        ),
        "a directory of a gigabyte": (bytes(many), "an archive's directory of 1073741824 bytes"),
        "an archive in an archive": (inner, "something else or a damaged one"),
        "no pickle": (whole.replace(b"data.pkl", b"dada.pkl"), "something else or a damaged one"),
        "a storage that is not there": (whole.replace(b"x/data/0", b"x/data/1"), "something else or a damaged one"),
        "a stream whose storage claims more": (stream(sound, 2**60), DAMAGED),
        "a stream that is cut off": (stream(sound)[:-8], DAMAGED),
    }


@pytest.mark.parametrize("case", list(bombs()))
def test_files_are_not_larger_than_they_are(case: str, tmp_path: Path) -> None:
    data, reason = bombs()[case]
    path = tmp_path / "evil.pt"
    path.write_bytes(data)
    assert reason in refusal(path)


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
        (two_faced(), "bytes elsewhere than expected"),
        (b"before" + sound, "an unknown format"),
        (sound[:4] + sound, "bytes elsewhere than expected"),
        (sound[:-2] + b"\7\0" + b"comment", "an archive with something after its end"),
        (several("x/data.pkl", "x/data.pkl"), "two entries of one name"),
        (several("x/data.pkl", "X/DATA.pkl"), "two entries of one name"),
        (several("y/version", "x/data.pkl", "y/data.pkl"), "two entries of one name"),
    ]:
        path.write_bytes(data)
        assert reason in refusal(path)
    path.write_bytes(sound)
    assert load_weight_file(path) == {"w": None}


def test_the_wide_end_of_archives_of_many_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    data, path = archive(named(tensor((2, 2), (1, 2)))), tmp_path / "wide.pt"
    assert data[-42:-38] == b"PK\6\7"
    path.write_bytes(data)
    assert torch.equal(load_weight_file(path)["w"], torch.zeros(2, 2))  # type: ignore[index]
    for place in (-98 + 40, -98 + 48, -42 + 8):  # size and place of the directory, place of the wide end
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        refusal(path)


@pytest.mark.skipif(sys.platform == "win32", reason="files with holes")
@pytest.mark.parametrize("begin", [b"", b"PK\3\4", pickle.dumps(7, 2)])
def test_a_hole_of_a_terabyte_is_not_read(begin: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hole.pt"
    path.write_bytes(begin)
    with path.open("r+b") as file:
        file.truncate(2**40)
    refusal(path, 2**28)
