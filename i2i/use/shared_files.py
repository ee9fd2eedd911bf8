"""Where the files of a model are: in a folder, in an archive of `i2i pack`, or on a hub."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from i2i.engine import checkpoint
from i2i.errors import CheckpointError
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import Problem, RecipeError
from i2i.use.hub import download, is_address

FILES = (checkpoint.RECIPE, checkpoint.STATE, checkpoint.WEIGHTS)
"""Files of a package that are needed to load it."""
OMITTED = "omitted"
"""Key of a package's state: names of the submodules whose weights it does not hold."""
MAX_BYTES = 2**36


@contextmanager
def local_files(path: str | Path) -> Iterator[Path]:
    """Provide the folder of a model inside the context.

    Args:
        path: a run folder, a checkpoint, an archive of `i2i pack`, or an address `hf://user/name`.

    Raises:
        CheckpointError: the archive is damaged, or the address cannot be downloaded.
    """
    if is_address(path):
        yield download(path, FILES)
    elif Path(path).suffix == ".zip" and Path(path).is_file():
        with unpacked(Path(path)) as folder:
            yield folder
    else:
        yield Path(path)


def recipe_in(folder: Path, model: str | Path) -> Recipe:
    """Read the recipe of a checkpoint.

    Args:
        folder: folder of the checkpoint.
        model: what the user named, for messages.

    Raises:
        RecipeError: the recipe is wrong, or names a component that is not installed.
    """
    try:
        return Recipe.read(folder / checkpoint.RECIPE)
    except RecipeError as error:
        if not any(problem.message.startswith("unknown ") for problem in error.problems):
            raise
        missing = "made with a component of a plugin that is not installed; `i2i plugins` lists those that are"
        raise RecipeError([*error.problems, Problem(str(model), "", missing)]) from error


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Provide the files of a zip archive that loading needs, in a temporary folder.

    Raises:
        CheckpointError: it is no archive of a package.
    """
    with tempfile.TemporaryDirectory(prefix="i2i-") as temporary:
        try:
            with zipfile.ZipFile(archive) as file:
                sizes = {info.filename: info.file_size for info in file.infolist()}
                missing = [name for name in FILES if name not in sizes]
                if missing:
                    raise CheckpointError(f"{archive} is no package of `i2i pack`: it has no {missing[0]}")
                if sum(sizes[name] for name in FILES) > MAX_BYTES:
                    raise CheckpointError(f"{archive}: its files have more than {MAX_BYTES} bytes")
                for name in FILES:  # nothing else is extracted, so no name can lead out of the folder
                    file.extract(name, temporary)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise CheckpointError(f"{archive} is damaged or no zip archive: {error}") from error
        yield Path(temporary)
