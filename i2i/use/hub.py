"""Models on the Hugging Face hub: `hf://user/name`, optionally with `@revision`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i2i.errors import CheckpointError, I2IError

# A path joins the two slashes, and has backslashes on Windows.
_ADDRESS = re.compile(r"hf:[/\\]{1,2}(?P<name>[\w.-]+[/\\][\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_NAME = re.compile(r"[\w.-]+/[\w.-]+")

_FIXES = {
    401: "; `hf auth login` logs in",
    403: "; this account may not do so: `hf auth whoami` says which one it is",
    404: "; there is no such model, or it is private and needs `hf auth login`",
}
"""What helps against HTTP status codes of a hub."""


def is_address(path: str | Path) -> bool:
    """Whether a path is an address of a model on the hub."""
    return str(path).startswith(("hf:/", "hf:\\"))


def download(address: str | Path, files: Sequence[str]) -> Path:
    """Download a model, or find it in the cache, and return its folder.

    Only the given files are downloaded, and no code is run.

    Args:
        address: `hf://user/name` or `hf://user/name@revision`.
        files: names of the files, all of which are needed.

    Raises:
        CheckpointError: there is no such model, or the hub cannot be reached.
        I2IError: the package `huggingface_hub` is missing.
    """
    found = _ADDRESS.fullmatch(str(address))
    if found is None:
        raise CheckpointError(f"expected an address hf://user/name or hf://user/name@revision, got {address}")
    hub = _import_hub()
    name = found["name"].replace("\\", "/")
    try:
        folder = hub.snapshot_download(
            name, revision=found["revision"], allow_patterns=list(files), endpoint=os.environ.get("HF_ENDPOINT")
        )
    except Exception as error:  # of several packages: of the hub, of its HTTP client, of the system
        raise CheckpointError(f"hf://{name} cannot be downloaded: {_reason(error)}") from error
    missing = [file for file in files if not (Path(folder) / file).exists()]
    if missing:
        raise CheckpointError(f"hf://{name} is no model of i2i: it has no {missing[0]}")
    return Path(folder)


def upload(package: Path, name: str, private: bool = False, token: str | None = None) -> str:
    """Upload a package to the hub and return its address there.

    Args:
        package: folder of `i2i.use.package.write_package`.
        name: `user/name`; the repository is made if it does not exist.
        private: whether a new repository is private.
        token: access token; the one of `hf auth login` or of the variable HF_TOKEN when None.

    Raises:
        I2IError: the name is illegal, the upload fails, or the package `huggingface_hub` is missing.
    """
    if not _NAME.fullmatch(name):
        raise I2IError(f"expected a name such as user/name, got {name!r}")
    hub = _import_hub()
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=name, folder_path=package, commit_message="Upload a model of i2i")
    except Exception as error:
        raise I2IError(f"cannot upload to {name}: {_reason(error)}") from error
    return str(commit.commit_url)


def _reason(error: Exception) -> str:
    """Return the first line of an error, with the fix for those that a hub answers."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text + _FIXES.get(getattr(getattr(error, "response", None), "status_code", 0), "")


def _import_hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise I2IError("models of the hub need the package huggingface_hub; install i2i[hub]") from error
    return huggingface_hub
