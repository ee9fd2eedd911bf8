"""Tar shards and zip archives hold the same files as a folder; damaged ones are refused in a sentence."""

from __future__ import annotations

import gzip
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_sources import files_of, write_shards, write_tar, write_zip

from i2i.data.sources.locate import Place, locate
from i2i.data.sources.tree import SourcePath, clean_name
from i2i.errors import DataError


def contents(place: Place) -> dict[str, bytes]:
    assert isinstance(place, SourcePath)
    return {path.relative_to(place).as_posix(): path.open("rb").read() for path in place.files()}


def message(location: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        locate(location)
    return str(caught.value)


def test_archives_are_read_like_folders(root: Path, tmp_path: Path) -> None:
    files = files_of(root)
    dotted = {f"./{name}": data for name, data in files.items()} | {"../outside.png": b"x"}
    locations = {
        "tar": write_tar(tmp_path / "all.tar", dotted),
        "stored": write_zip(tmp_path / "stored.zip", files, zipfile.ZIP_STORED),
        "deflated": write_zip(tmp_path / "deflated.zip", files),
        "braces": write_shards(tmp_path / "shards", files),
        "wildcard": tmp_path / "shards" / "s-*.tar",
        "URL": f"file://{tmp_path}/all.tar",
    }
    for kind, location in locations.items():
        place = locate(location)
        assert contents(place) == files, kind
        assert contents(pickle.loads(pickle.dumps(place))) == files, kind
        inside = locate(f"{location}/trainB")
        assert contents(inside) == contents(place / "trainB") == files_of(root / "trainB")
        assert [entry.name for entry in place.iterdir()] == ["testA", "testB", "trainA", "trainB"]
        assert (inside.is_dir(), inside.exists(), (inside / "00.png").is_file()) == (True, True, True)
        assert not (place / "train").exists()


def test_an_image_path_has_the_properties_of_a_path(root: Path, tmp_path: Path) -> None:
    place = locate(write_tar(tmp_path / "x.tar", files_of(root)))
    assert isinstance(place, SourcePath)
    path = place / "trainB" / "ä b" / "01.png"
    assert (path.name, path.stem, path.suffix, str(path)) == (
        "01.png",
        "01",
        ".png",
        f"{tmp_path}/x.tar/trainB/ä b/01.png",
    )
    assert path.parent.parent == place / "trainB"
    assert str(path.relative_to(place / "trainB").with_suffix("")) == "ä b/01"
    assert len({path, place / "trainB" / "ä b/01.png"}) == 1
    with pytest.raises(DataError, match=r"x\.tar/trainB/none\.png does not exist"):
        (place / "trainB" / "none.png").open()


def test_several_images_of_a_key_become_folders(tmp_path: Path) -> None:
    pairs = {f"p/{key:03}.{end}": f"{key}{end}".encode() for key in range(3) for end in ("a.jpg", "b.png", "json")}
    place = locate(write_tar(tmp_path / "pairs.tar", pairs))
    assert contents(place / "a") == {f"p/{key:03}.jpg": f"{key}a.jpg".encode() for key in range(3)}  # type: ignore[operator]
    assert contents(place / "b") == {f"p/{key:03}.png": f"{key}b.png".encode() for key in range(3)}  # type: ignore[operator]
    versions = {f"image.{number}.jpg": b"x" for number in range(3)}  # one key, so these are ordinary names
    assert contents(locate(write_tar(tmp_path / "versions.tar", versions))) == versions


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_shard_that_is_cut_off_anywhere_is_refused_or_whole(
    root: Path, tmp_path: Path, kind: str, share: float
) -> None:
    files = files_of(root)
    path = (write_tar if kind == "tar" else write_zip)(tmp_path / f"cut.{kind}", files)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    problem: str | None = None
    place: Place = path
    try:
        place = locate(path)
    except DataError as error:
        problem = str(error)
    assert contents(place) == files if problem is None else problem.startswith(f"{path} is ")


def test_messages(root: Path, tmp_path: Path) -> None:
    files = files_of(root)
    whole = write_tar(tmp_path / "whole.tar", files).read_bytes()
    for name, data in {
        "cut.tar": whole[: len(whole) // 2],
        "no_end.tar": whole.rstrip(b"\0")[: -(-len(whole.rstrip(b"\0")) // 512) * 512],
        "packed.tar": gzip.compress(whole),
        "x.tar.gz": gzip.compress(whole),
        "empty.tar": b"",
        "text.tar": b"text" * 1000,
        "text.zip": b"text" * 1000,
        "cut.zip": write_zip(tmp_path / "whole.zip", files).read_bytes()[:-30],
    }.items():
        (tmp_path / name).write_bytes(data)
    assert " is cut off: it ends after " in message(tmp_path / "cut.tar")
    assert message(tmp_path / "packed.tar") == (
        f"{tmp_path}/packed.tar is compressed with gzip, so it cannot be read at random; decompress it to a .tar file"
    )
    assert (
        message(tmp_path / "x.tar.gz")
        == "x.tar.gz is compressed, so it cannot be read at random; decompress it to a .tar file"
    )
    assert message(tmp_path / "empty.tar") == f"{tmp_path}/empty.tar is empty (0 bytes)"
    assert message(tmp_path / "text.tar").startswith(f"{tmp_path}/text.tar is no tar archive (")
    assert message(tmp_path / "text.zip").startswith(f"{tmp_path}/text.zip is no zip archive (")
    assert message(tmp_path / "cut.zip").startswith(f"{tmp_path}/cut.zip is cut off or damaged (")
    assert message(tmp_path / "none.tar") == f"{tmp_path}/none.tar does not exist"
    assert message(tmp_path / "none-*.tar") == f"{tmp_path}/none-*.tar matches no file"
    assert message(f"{tmp_path}/whole{{0..2}}.tar") == (
        f"{tmp_path}/whole0.tar, which {tmp_path}/whole{{0..2}}.tar names, does not exist"
    )
    (tmp_path / "whole0.tar").write_bytes(whole)
    assert f"{tmp_path}/whole.tar and {tmp_path}/whole0.tar both hold " in message(tmp_path / "whole*.tar")
    packed = tmp_path / "lzma.zip"
    write_zip(packed, files, zipfile.ZIP_LZMA)
    assert " is compressed with lzma (" in message(packed)


def test_a_changed_or_damaged_archive_is_noticed_when_it_is_read(root: Path, tmp_path: Path) -> None:
    files = files_of(root)
    path = write_zip(tmp_path / "x.zip", files, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(files["trainA/00.png"]) + 20] ^= 1
    path.write_bytes(data)
    place = locate(path)
    with pytest.raises(DataError, match="its checksum is wrong"):
        (place / "trainA" / "00.png").open("rb")
    path.write_bytes(data + b"0")
    with pytest.raises(DataError, match="has changed since its index was read"):
        (place / "trainA" / "01.png").open("rb")


def test_names_that_lead_out_of_an_archive_are_no_files() -> None:
    assert [clean_name(name) for name in ("a/../b", "..", "/a/b", "./a", "a\\b", "", "./")] == [
        None, None, "a/b", "a", "a/b", None, None
    ]  # fmt: skip
