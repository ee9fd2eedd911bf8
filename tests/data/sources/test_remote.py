"""Folders and shards behind URLs, against a server on loopback; forked workers read them too."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import pytest
from written_sources import FileServer, files_of, write_shards, write_tar, write_zip

from i2i.data.images import as_path, read_image
from i2i.data.sources import blobs
from i2i.data.sources.locate import Place, locate
from i2i.data.sources.tree import SourcePath
from i2i.errors import DataError, SourceError

pytest.importorskip("aiohttp", reason="needs i2i[remote]")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "FIRST_PAUSE", 0.0)


def contents(place: Place) -> dict[str, bytes]:
    assert isinstance(place, SourcePath)
    return {path.relative_to(place).as_posix(): path.open("rb").read() for path in place.files()}


def test_urls_are_read_like_folders_in_workers_too(root: Path, tmp_path: Path, server: FileServer) -> None:
    files = files_of(root)
    write_tar(tmp_path / "x.tar", files)
    write_zip(tmp_path / "x.zip", files)
    write_shards(tmp_path / "shards", files)
    expected = files_of(root / "trainB")
    for location in ("images", "x.tar", "x.zip", "shards/s-{000..002}.tar"):
        place = locate(f"{server.url}/{location}")
        inside = place / "trainB"
        assert contents(inside) == contents(locate(f"{server.url}/{location}/trainB")) == expected, location
        assert str(inside) == f"{server.url}/{location}/trainB"
        assert contents(pickle.loads(pickle.dumps(inside))) == expected, location  # as a spawned worker gets it
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(contents, [inside, inside]) == [expected, expected], location


def test_an_image_behind_a_url(root: Path, server: FileServer) -> None:
    image = read_image(as_path(f"{server.url}/images/testA/00.png"))
    assert image.tobytes() == read_image(root / "testA" / "00.png").tobytes()


def test_other_protocols_of_fsspec(root: Path, tmp_path: Path) -> None:
    memory = blobs.fsspec().filesystem("memory")
    memory.pipe({f"/set/{name}": data for name, data in files_of(root).items()})
    try:
        assert contents(locate("memory://set/trainB")) == files_of(root / "trainB")
        memory.pipe("/s/a.tar", write_tar(tmp_path / "a.tar", files_of(root)).read_bytes())
        assert contents(locate("memory://s/*.tar")) == files_of(root)
    finally:
        memory.store.clear()


def test_a_request_that_fails_is_repeated_and_then_stops_the_run(root: Path, server: FileServer) -> None:
    place = locate(f"{server.url}/images/testA") / "00.png"
    expected = (root / "testA" / "00.png").read_bytes()
    server.failures = blobs.ATTEMPTS - 1
    assert place.open("rb").read() == expected  # type: ignore[call-overload]
    server.failures = blobs.ATTEMPTS
    with pytest.raises(SourceError, match=r"^http://127\S+/00\.png cannot be read after 4 attempts: 503, "):
        place.open("rb")
    (root / "testA" / "00.png").unlink()
    with pytest.raises(SourceError, match=r"^http://127\S+/testA/00\.png does not exist$"):
        place.open("rb")


def test_messages(server: FileServer) -> None:
    for location, text in {
        f"{server.url}/none.tar": f"{server.url}/none.tar does not exist",
        f"{server.url}/none": f"{server.url}/none does not exist",
        "http://127.0.0.1:9/none": "http://127.0.0.1:9/none cannot be read after 4 attempts: Cannot connect to host ",
        "nothing://x/y": "nothing://x/y cannot be read: Protocol not known: nothing; ",
    }.items():
        with pytest.raises(DataError) as caught:
            locate(location)
        assert str(caught.value).startswith(text)
