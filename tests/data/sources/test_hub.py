"""`hf://datasets/...` against a hub on loopback: what is taken, what is shown, and what works offline."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from written_sources import files_of, write_tar

from i2i.data.sources.locate import Place, locate
from i2i.data.sources.tree import SourcePath
from i2i.errors import DataError

constants: Any = pytest.importorskip("huggingface_hub.constants", reason="needs i2i[remote]")
REVISIONS = {"main": "a" * 40, "v1": "b" * 40}


class HubHandler(http.server.BaseHTTPRequestHandler):
    """The part of the hub's API that a download uses; `server.repositories` has the files by `owner/name`."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0]).strip("/").split("/")
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        repositories: dict[str, dict[str, bytes]] = self.server.repositories  # type: ignore[attr-defined]
        match path:
            case ["api", "datasets", owner, name, "tree", *_]:
                tree = [
                    {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for file, data in repositories[f"{owner}/{name}"].items()
                ]
                self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
            case ["api", "datasets", owner, name, *rest] if f"{owner}/{name}" in repositories:
                sha = REVISIONS.get(rest[-1] if rest else "main", rest[-1] if rest else "")
                if sha not in REVISIONS.values():
                    self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                    return
                siblings = [{"rfilename": file} for file in repositories[f"{owner}/{name}"]]
                info = {"id": f"{owner}/{name}", "sha": sha, "siblings": siblings, "tags": ["license:mit"]}
                self._send(200, json.dumps(info).encode())
            case ["datasets", owner, name, "resolve", sha, *file]:
                data = repositories[f"{owner}/{name}"]["/".join(file)]
                tag = hashlib.sha256(data).hexdigest()
                self._send(200, data, {"ETag": f'"{tag}"', "X-Repo-Commit": sha})
            case _:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    server.requests = []
    server.repositories = {
        "me/images": {**files_of(root), "README.md": b"---\nlicense: cc0-1.0\n---\nTest."},
        "me/shards": {"data/a.tar": write_tar(tmp_path / "a.tar", files_of(root)).read_bytes(), "x.txt": b""},
        "me/text": {"a.csv": b"1"},
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    yield server
    server.shutdown()
    server.server_close()


def images(place: Place) -> dict[str, bytes]:
    assert isinstance(place, SourcePath)
    return {
        path.relative_to(place).as_posix(): path.open("rb").read() for path in place.files() if path.suffix == ".png"
    }


def message(location: str) -> str:
    with pytest.raises(DataError) as caught:
        locate(location)
    return str(caught.value)


@pytest.mark.thorough
def test_images_and_shards_with_revision_licence_and_cache(hub: Any, root: Path, tmp_path: Path) -> None:
    expected = {name: data for name, data in files_of(root).items() if name.endswith(".png")}
    place = locate("hf://datasets/me/images")
    assert images(place) == expected
    assert isinstance(place, SourcePath)
    (note,) = place.source.notes
    assert note.startswith(f"revision {'a' * 12}, licence cc0-1.0, in {tmp_path}/hub/datasets--me--images/snapshots/")
    assert str(place / "trainA") == "hf://datasets/me/images/trainA"
    downloads = [request for request in hub.requests if "/resolve/" in request]
    assert not any("notes.txt" in request for request in downloads)

    hub.requests.clear()
    assert images(locate("hf://datasets/me/images/trainB")) == images(place / "trainB")
    assert [request for request in hub.requests if "/resolve/" in request] == []  # the cache has them

    old = locate("hf://datasets/me/shards@v1/testA")
    assert images(old) == images(place / "testA")
    assert isinstance(old, SourcePath)
    assert old.source.notes[0].startswith(f"revision {'b' * 12}, licence mit, ")


def test_tables(hub: Any, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("datasets", reason="needs i2i[datasets]")
    library.disable_progress_bars()
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    data = (root / "testA" / "00.png").read_bytes()
    table = library.Dataset.from_dict(
        {"imageA": [{"bytes": data, "path": None}]}, features=library.Features({"imageA": library.Image()})
    )
    table.to_parquet(tmp_path / "x.parquet")
    hub.repositories["me/table"] = {
        "data/train-00000-of-00001.parquet": (tmp_path / "x.parquet").read_bytes(),
        "README.md": b"---\nlicense: mit\n---\n",
    }
    assert images(locate("hf://datasets/me/table")) == {"train/0000000.png": data}


@pytest.mark.thorough
def test_without_the_hub_the_cache_is_used(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = locate("hf://datasets/me/images")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = locate("hf://datasets/me/images")
    assert images(again) == images(place)
    assert isinstance(again, SourcePath)
    assert again.source.notes[0].startswith(f"revision {'a' * 12}, licence cc0-1.0, in ")
    assert message("hf://datasets/me/shards").startswith(
        "hf://datasets/me/shards is not complete in the cache, and the hub cannot be reached: "
    )


def test_messages(hub: Any) -> None:
    assert message("hf://datasets/me/none") == (
        "hf://datasets/me/none: the hub has no such data set, or it is private and needs HF_TOKEN"
    )
    assert message("hf://datasets/me/images@v9") == "hf://datasets/me/images@v9: the data set has no revision 'v9'"
    assert message("hf://datasets/me/text") == (
        "hf://datasets/me/text holds neither Parquet tables nor images nor archives; it holds .csv"
    )
    assert message("hf://me/images") == (
        "expected hf://datasets/OWNER/NAME, perhaps with @REVISION and /FOLDER, got hf://me/images"
    )
