"""Data sets of the Hugging Face hub, downloaded once into its cache."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from i2i.data.decoding import SUFFIXES
from i2i.data.sources.archives import TAR, ZIP, ArchiveSource
from i2i.data.sources.blobs import LocalBlob
from i2i.data.sources.remote import FileSource
from i2i.data.sources.tables import PARQUET, open_tables
from i2i.data.sources.tree import Source, SourcePath
from i2i.errors import DataError, SourceError

SCHEME = "hf://"
_URL = re.compile(r"hf://datasets/(?P<repository>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?(?:/(?P<inside>.*))?")


def locate_hub(url: str) -> SourcePath:
    """A data set of the hub, or a folder of it.

    Of its files, the Parquet tables are taken if there are any, or else the images, or else the tar and zip archives.

    Args:
        url: `hf://datasets/OWNER/NAME`, then `@REVISION` and `/FOLDER` where wanted. `/` in a revision is `%2F`.

    Raises:
        DataError: there is no such data set, or it holds no images.
        SourceError: it is not in the cache, and the hub cannot be reached.
    """
    found = _URL.fullmatch(url.rstrip("/"))
    if found is None:
        raise DataError(f"expected hf://datasets/OWNER/NAME, perhaps with @REVISION and /FOLDER, got {url}")
    repository, inside = found["repository"], found["inside"] or ""
    revision = unquote(found["revision"]) if found["revision"] else None
    folder, licence = _download(url, repository, revision)
    notes = (f"revision {folder.name[:12]}, licence {licence}, in {folder}",)
    name = url.rstrip("/").removesuffix(f"/{inside}") if inside else url.rstrip("/")
    return SourcePath(_source(name, folder, notes), inside)


def _source(name: str, folder: Path, notes: tuple[str, ...]) -> Source:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if any(path.suffix.lower() == PARQUET for path in files):
        return open_tables(folder, name, notes)
    archives = [path for path in files if path.suffix.lower() in (TAR, ZIP)]
    if archives and not any(path.suffix.lower() in SUFFIXES for path in files):
        source = ArchiveSource(name, [LocalBlob(path) for path in archives])
        source.notes = (*notes, *source.notes)
        return source
    # The cache's folder holds links into another folder; here each is the file that it leads to.
    return FileSource(name, {path.relative_to(folder).as_posix(): LocalBlob(path) for path in files}, notes)


def _download(url: str, repository: str, revision: str | None) -> tuple[Path, str]:
    """The folder of the wanted files in the cache, named after their revision, and the licence."""
    try:
        from huggingface_hub import DatasetCard, HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
    except ImportError as error:
        raise DataError(
            "the hub is read with huggingface_hub, which is not installed; pip install 'i2i[remote]'"
        ) from error
    endpoint = os.environ.get("HF_ENDPOINT")
    suffixes = {PARQUET, TAR, ZIP, *SUFFIXES}
    # The card says which Parquet files belong together, and the licence.
    wanted = ["README.md", *(f"*{form(suffix)}" for suffix in sorted(suffixes) for form in (str.lower, str.upper))]
    options: dict[str, Any] = {
        "repo_id": repository,
        "repo_type": "dataset",
        "revision": revision,
        "allow_patterns": wanted,
    }
    tags: list[str] = []
    try:
        info = HfApi(endpoint=endpoint).dataset_info(repository, revision=revision, timeout=30)
    except RevisionNotFoundError as error:
        raise DataError(f"{url}: the data set has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise DataError(f"{url}: the hub has no such data set, or it is private and needs HF_TOKEN") from error
    except HfHubHTTPError as error:
        raise SourceError(f"{url} cannot be read: {_first_line(error)}") from error
    except Exception as error:  # of the network, whose library differs between versions
        try:
            folder = Path(snapshot_download(**options, local_files_only=True))
        except Exception:
            raise SourceError(
                f"{url} is not complete in the cache, and the hub cannot be reached: {_first_line(error)}"
            ) from error
    else:
        found = {Path(sibling.rfilename).suffix.lower() for sibling in info.siblings or ()}
        if not found & suffixes:
            raise DataError(
                f"{url} holds neither Parquet tables nor images nor archives; it holds "
                f"{', '.join(sorted(found)) or 'nothing'}"
            )
        tags = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
        try:
            folder = Path(snapshot_download(**options, endpoint=endpoint))
        except Exception as error:
            reason = _first_line(error)
            raise SourceError(f"{url}: the download failed: {reason}; start again to continue it") from error
    card = folder / "README.md"
    stated = DatasetCard.load(card).data.license if card.is_file() else None
    return folder, ", ".join(stated if isinstance(stated, list) else [stated] if stated else tags) or "not stated"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
