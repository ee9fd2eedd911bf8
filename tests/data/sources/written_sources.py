"""Writes files into archives, and serves them on loopback with byte ranges."""

from __future__ import annotations

import http.server
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, width: int = 24, height: int = 20) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"), reverse=True)
        if path.is_file()
    }


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_shards(folder: Path, files: dict[str, bytes], count: int = 3) -> str:
    """Shards `s-000.tar`, ...; returns the location of all of them."""
    folder.mkdir(exist_ok=True)
    names = list(files)
    for shard in range(count):
        write_tar(folder / f"s-{shard:03}.tar", {name: files[name] for name in names[shard::count]})
    return f"{folder}/s-{{000..{count - 1:03}}}.tar"


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """A file server that knows byte ranges; the first `server.failures` requests for files are answered with 503."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            super().do_GET()
            return
        if not path.is_file():
            self.send_error(404)
            return
        if self.server.failures > 0:  # type: ignore[attr-defined]
            self.server.failures -= 1  # type: ignore[attr-defined]
            self.send_error(503)
            return
        data, header = path.read_bytes(), self.headers.get("Range")
        status = 200
        if header is not None:
            first, last = header.removeprefix("bytes=").split("-")
            start, stop = int(first), min(int(last or len(data)) + 1, len(data))
            status, whole, data = 206, len(data), data[start:stop]
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Accept-Ranges", "bytes")
        if header is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{whole}")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class FileServer(http.server.ThreadingHTTPServer):
    failures = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"
