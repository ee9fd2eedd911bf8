"""Downloads an archive, checks it, and extracts it; nothing half-written stays under a final name."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import BinaryIO, NamedTuple

from i2i.data.sources.tree import clean_name
from i2i.errors import DataError

ATTEMPTS = 5
"""How often a broken connection is resumed."""
PAUSE = 1.0
"""Seconds before the first of them; each later pause is twice as long."""
TIMEOUT = 60
"""Seconds without a byte after which a connection counts as broken."""
_CHUNK = 2**20
Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes in all, if known."""


class Extracted(NamedTuple):
    """What an extraction wrote.

    Args:
        files: how many.
        passed_over: links, devices and names that lead out of the folder.
    """

    files: int
    passed_over: int


def download(
    url: str, target: Path, size: int | None, sha256: str | None, progress: Progress = lambda done, total: None
) -> str:
    """Downloads a file; a download that was interrupted is resumed, also by a later call.

    Until it is complete and checked, it is called `.NAME.part`.

    Args:
        url: http or https.
        target: the file; one that exists is checked and kept.
        size: expected bytes, or None.
        sha256: expected hash in hexadecimal, or None.
        progress: called after each MiB.

    Returns:
        The file's SHA-256 in hexadecimal.

    Raises:
        DataError: it cannot be downloaded, or is another file than expected.
    """
    if not url.startswith(("http://", "https://")):
        raise DataError(f"expected a URL that begins with http:// or https://, got {url}")
    if target.is_file():
        return _checked(target, url, size, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    for attempt in range(ATTEMPTS):
        try:
            _continue(url, part, size, sha256 is not None, progress)
            break
        except (OSError, HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise DataError(f"{url}: the server answers {error.code} {error.reason}") from error
            if _is_of_the_disk(error):
                raise
            if attempt + 1 == ATTEMPTS:
                kept = part.stat().st_size if part.exists() else 0
                reason = getattr(error, "reason", None) or error
                raise DataError(
                    f"{url}: the download broke off after {kept:,} bytes ({reason}); start again to resume it"
                ) from error
            time.sleep(PAUSE * 2**attempt)
    found = _checked(part, url, size, sha256)
    os.replace(part, target)
    _validator_of(part).unlink(missing_ok=True)
    return found


def _continue(url: str, part: Path, size: int | None, has_hash: bool, progress: Progress) -> None:
    """Appends what is missing of a file; without a hash or a version that would show a mixture, starts again."""
    validator = _validator_of(part)
    have = part.stat().st_size if part.exists() and (has_hash or validator.is_file()) else 0
    headers = {"User-Agent": "i2i", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator.is_file():  # if the file behind the URL has changed since, the server sends the new one whole
            headers["If-Range"] = validator.read_text(encoding="utf-8")
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if size is None or have != size:  # what is there is not a part of this file
            part.unlink()
            raise ConnectionError("the part of an earlier download did not fit") from error
        return
    with response:
        resumed = response.status == 206 and _first_byte(response.headers) == have
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else size
        if size is not None and total is not None and total != size:
            raise DataError(f"{url}: expected {size:,} bytes, the server has {total:,}: it is another file")
        _check_space(part.parent, (total or have) - have, url)
        # Only a strong ETag, or a date, says that two downloads are of the same bytes.
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        if tag and not tag.startswith("W/"):
            validator.write_text(tag, encoding="utf-8")
        else:
            validator.unlink(missing_ok=True)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
        if total is not None and have < total:
            raise ConnectionError(f"{have:,} of {total:,} bytes came")


def _validator_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _first_byte(headers: HTTPMessage) -> int:
    """Where a partial answer begins; -1 if it does not say so."""
    text = str(headers.get("Content-Range", "")).removeprefix("bytes ").partition("-")[0]
    return int(text) if text.isdecimal() else -1


def _is_of_the_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.filename is not None and not isinstance(error, urllib.error.URLError)


def _checked(file: Path, url: str, size: int | None, sha256: str | None) -> str:
    """The hash of a complete file; one that is not the expected file is removed.

    Raises:
        DataError: its size or hash is wrong.
    """
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    actual = file.stat().st_size
    problem = None
    if size is not None and actual != size:
        problem = f"expected {size:,} bytes, got {actual:,}"
    elif sha256 is not None and found != sha256.lower():
        problem = f"expected SHA-256 {sha256}, got {found}"
    if problem is not None:
        if file.name.endswith(".part"):
            file.unlink()
            _validator_of(file).unlink(missing_ok=True)
            raise DataError(f"{url}: {problem}; the file was removed, download it again")
        raise DataError(f"{file}: {problem}; move it away to download it again")
    return found


def _check_space(folder: Path, need: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if need > free:
        raise DataError(f"{what} needs {need:,} bytes, and {folder} has {free:,} bytes free")


def extract(archive: Path, folder: Path) -> Extracted:
    """Extracts a zip or tar archive into a new folder, which appears when it is complete.

    Only plain files are written, and only below the folder. If everything lies in one folder of the archive, its
    content is taken.

    Args:
        archive: the file; a tar archive may be compressed.
        folder: must not exist.

    Raises:
        DataError: the archive is damaged or holds no file, or the disk is too small.
    """
    temporary = folder.with_name(f".{folder.name}.extracting")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        written = _write_members(archive, temporary)
        if written.files == 0:
            raise DataError(f"{archive} holds no file")
        entries = list(temporary.iterdir())
        os.replace(entries[0] if len(entries) == 1 and entries[0].is_dir() else temporary, folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{archive} cannot be extracted: it is damaged or encrypted ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return written


def _write_members(archive: Path, folder: Path) -> Extracted:
    files = passed_over = 0
    left = shutil.disk_usage(folder).free
    for name, size, opened in _members(archive):
        inside = clean_name(name)
        if inside is None or opened is None:
            passed_over += 1
            continue
        left -= size
        if left < 0:
            raise DataError(f"{archive} is larger than the free space of {folder.parent}")
        path = folder / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened() as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        files += 1
    return Extracted(files, passed_over)


def _members(archive: Path) -> Iterator[tuple[str, int, Callable[[], BinaryIO] | None]]:
    """Name, size and bytes of each member but folders; None for the bytes of links and devices."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    # A link of a zip archive is a file type in the upper bits; its bytes are the path that it names.
                    is_link = (info.external_attr >> 16) & 0o170000 == 0o120000
                    yield info.filename, info.file_size, None if is_link else lambda info=info: packed.open(info)  # type: ignore[misc]
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isdir():
                plain = member.isreg()
                yield member.name, member.size, (lambda member=member: tar.extractfile(member)) if plain else None  # type: ignore[misc]
