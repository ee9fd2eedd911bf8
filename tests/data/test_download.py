"""Downloads are resumed, checked and extracted safely; what is not whole never has a final name."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from i2i.cli import run
from i2i.data import download as module
from i2i.data import published
from i2i.data.download import download, extract
from i2i.data.published import ARCHIVES, Archive
from i2i.errors import DataError

DATA = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.data`; each number in `server.cuts` ends one answer after so many bytes."""

    def do_GET(self) -> None:
        server: Any = self.server
        data, span = server.data, self.headers.get("Range")
        server.ranges.append(span)
        if self.path == "/none":
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        if self.headers.get("If-Range", server.tag) != server.tag or not server.knows_ranges:
            start = 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if server.tag:
            self.send_header("ETag", server.tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[start:][: server.cuts.pop(0) if server.cuts else None])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    running: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.data, running.cuts, running.ranges, running.tag, running.knows_ranges = DATA, [], [], '"1"', True
    running.url = f"http://127.0.0.1:{running.server_port}/set.zip"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def message(*args: Any) -> str:
    with pytest.raises(DataError) as caught:
        download(*args)
    return str(caught.value)


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_is_resumed_at_once_and_by_a_later_call(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows_ranges: bool
) -> None:
    target, part = tmp_path / "new" / "set.zip", tmp_path / "new" / ".set.zip.part"
    server.cuts, server.knows_ranges = [1000, 2000], knows_ranges
    assert download(server.url, target, len(DATA), SHA256) == SHA256
    assert target.read_bytes() == DATA
    # without ranges each answer begins at the first byte, and replaces what was there
    assert server.ranges == [None, "bytes=1000-", "bytes=3000-" if knows_ranges else "bytes=2000-"]
    assert sorted(path.name for path in target.parent.iterdir()) == ["set.zip"]

    target.unlink()
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.cuts = [5000]
    assert message(server.url, target, len(DATA), SHA256) == (
        f"{server.url}: the download broke off after 5,000 bytes (5,000 of 1,280,000 bytes came); start again to "
        "resume it"
    )
    assert not target.exists()
    assert part.stat().st_size == 5000
    done: list[int] = []
    assert download(server.url, target, len(DATA), SHA256, lambda now, total: done.append(now)) == SHA256
    assert done[-1] == len(DATA)
    assert server.ranges[-1] == "bytes=5000-"


def test_a_file_that_changed_in_between_is_not_mixed(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    target = tmp_path / "set.zip"
    for tag in ('"1"', ""):  # with a version, and from a server that names none
        server.data, server.tag, server.cuts = DATA, tag, [5000]
        message(server.url, target, None, None)
        server.data, server.tag = DATA[::-1], tag and '"2"'
        download(server.url, target, None, None)
        assert target.read_bytes() == DATA[::-1]
        target.unlink()


def test_another_file_is_refused(server: Any, tmp_path: Path) -> None:
    target = tmp_path / "set.zip"
    assert message(server.url, target, 5, None) == (
        f"{server.url}: expected 5 bytes, the server has 1,280,000: it is another file"
    )
    assert message(server.url, target, None, "0" * 64) == (
        f"{server.url}: expected SHA-256 {'0' * 64}, got {SHA256}; the file was removed, download it again"
    )
    assert list(tmp_path.iterdir()) == []
    assert message(server.url.replace("set.zip", "none"), target, None, None).endswith(
        "/none: the server answers 404 Not Found"
    )
    assert message("ftp://x/y.zip", target, None, None) == (
        "expected a URL that begins with http:// or https://, got ftp://x/y.zip"
    )
    target.write_bytes(b"mine")
    assert message(server.url, target, None, SHA256).endswith("; move it away to download it again")
    assert target.read_bytes() == b"mine"


def packed_zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("set/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return stream.getvalue()


def packed_tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"set/special{kind!r}")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return stream.getvalue()


@pytest.mark.parametrize("pack", [packed_zip, packed_tar])
def test_extraction_writes_plain_files_inside_the_folder_alone(tmp_path: Path, pack: Any) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    archive = inner / "set.archive"
    files = {"set/trainA/1.png": b"1", "set/trainB/2.png": b"2"}
    archive.write_bytes(pack({**files, "../escaped.png": b"x", "/absolute.png": b"y"}))
    written = extract(archive, inner / "set")
    assert written.files == 3
    assert written.passed_over == (2 if pack is packed_zip else 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner"]
    found = {
        path.relative_to(inner / "set").as_posix(): path.read_bytes()
        for path in (inner / "set").rglob("*")
        if path.is_file()
    }
    assert found == {**files, "absolute.png": b"y"}
    archive.write_bytes(pack(files))
    extract(archive, inner / "again")  # one folder that holds everything is not repeated
    assert (inner / "again" / "trainA" / "1.png").read_bytes() == b"1"
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be extracted: it is damaged"):
        extract(archive, inner / "cut")
    assert not (inner / "cut").exists()
    assert not (inner / ".cut.extracting").exists()


def test_data_get(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.data = packed_zip({"set/trainA/1.png": b"1", "set/trainB/2.png": b"2"})
    known = Archive("http://127.0.0.1:9/x.zip", len(server.data), hashlib.sha256(server.data).hexdigest())
    monkeypatch.setattr(published, "ARCHIVES", {"tiny": known})
    monkeypatch.chdir(tmp_path)
    assert run(["data", "get", "tiny", "--url", server.url]) == 0
    assert capsys.readouterr().out == (
        "datasets/tiny: 2 files; 1 links or unsafe names left out. Train on it with data.root=datasets/tiny\n"
    )
    assert sorted(path.name for path in (tmp_path / "datasets").iterdir()) == ["tiny"]
    assert run(["data", "get", "tiny", "--url", server.url]) == 0
    assert "exists already" in capsys.readouterr().out
    assert run(["data", "get", server.url, "--output", "other"]) == 0
    assert "no hash is known of http://127" in capsys.readouterr().err
    server.data += b"0"
    assert run(["data", "get", "tiny", "--url", server.url, "--output", "third"]) == 2
    assert "it is another file" in capsys.readouterr().err
    assert run(["data", "get", "tinny"]) == 2
    assert "no data set is called 'tinny'. Did you mean 'tiny'? Known: tiny" in capsys.readouterr().err


def test_published_archives_are_complete() -> None:
    assert {"horse2zebra", "facades_pairs", "maps"} <= ARCHIVES.keys()
    for archive in ARCHIVES.values():
        assert archive.url.startswith("https://")
        assert (archive.sha256 is None) == (archive.size is None)
        assert archive.sha256 is None or len(bytes.fromhex(archive.sha256)) == 32
