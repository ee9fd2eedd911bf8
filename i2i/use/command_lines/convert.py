"""A command line of pytorch-CycleGAN-and-pix2pix, CUT or U-GAT-IT as a recipe."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import PurePath

from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe
from i2i.recipe.source import Problem, RecipeError
from i2i.use.command_lines import CODES, Code, cyclegan, cyclegan_flags, ugatit
from i2i.use.command_lines.flags import Converted, Flags

PROGRAMS = ("train.py", "test.py", "main.py")


def convert(command: str, code: Code | None = None, images: int | None = None) -> Converted:
    """Convert a command line into a recipe, and check the recipe.

    Args:
        command: such as `python train.py --dataroot ./maps --name maps --model cycle_gan`; what stands before the
            program (interpreter, launcher, environment variables) is named in the notes.
        code: whose command it is; None to tell from its program and flags.
        images: number of images of the larger domain, where learning rates or checkpoints count epochs.

    Raises:
        I2IError: a flag is unknown or cannot be converted, or the command does not train.
        RecipeError: the values do not make a recipe.
    """
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    at = next((n for n, word in enumerate(words) if PurePath(word).name in PROGRAMS), None)
    if at is None:
        raise I2IError(
            f"expected a command line with {', '.join(PROGRAMS[:2])} or {PROGRAMS[2]}, got {command.strip()!r}"
        )
    program, rest = PurePath(words[at]).name, words[at + 1 :]
    if program == "test.py":
        raise I2IError(
            "test.py: translates and trains nothing; run i2i import FORMAT CHECKPOINTS --output "
            "runs/NAME with the format "
            "cyclegan-pytorch, pix2pix-pytorch or cut-pytorch, then i2i translate runs/NAME IMAGES --to b"
        )
    names = {word.removeprefix("--").partition("=")[0] for word in rest if word.startswith("--")}
    code = code or _code(program, names, rest)
    result = _converted(code, rest, images)
    before = [word for word in words[:at] if PurePath(word).name not in ("python", "python3", "!python", "-u")]
    if before:
        result.notes.append(
            f"{' '.join(before)}: not converted; see docs/training.md for devices and several processes"
        )
    try:
        Recipe.read(result.base, result.values())
    except RecipeError as error:
        raise RecipeError([_of_flags(problem, result) for problem in error.problems]) from error
    return result


def _of_flags(problem: Problem, result: Converted) -> Problem:
    """Return a problem of the recipe with the flags that it comes from in place of a line."""
    keys = [key for key in result.settings if f"{problem.key}.".startswith(f"{key}.")]
    return replace(problem, where=result.settings[max(keys, key=len)][1]) if keys else problem


def _code(program: str, names: set[str], words: list[str]) -> Code:
    """Tell whose command it is from flags that only one code has.

    Raises:
        I2IError: the codes have different defaults, and nothing tells them apart.
    """
    if program == "main.py":
        only = set(ugatit.TENSORFLOW) - set(ugatit.PYTORCH)
        return "ugatit-tensorflow" if names & only else "ugatit-pytorch"
    models = {after for word, after in pairwise(words) if word == "--model"}
    models |= {word.partition("=")[2] for word in words if word.startswith("--model=")}
    if models & {"cut", "sincut"} or names & (set(cyclegan_flags.CUT) - set(cyclegan_flags.CYCLEGAN)):
        return "cut"
    if models or names & (set(cyclegan_flags.CYCLEGAN) - set(cyclegan_flags.CUT)):
        return "cyclegan"
    raise I2IError(
        f"no --model: pytorch-CycleGAN-and-pix2pix means cycle_gan by that, CUT's code cut; say "
        f"which with --from, one "
        f"of {', '.join(CODES)}"
    )


def _converted(code: Code, words: list[str], images: int | None) -> Converted:
    if code in ("cyclegan", "cut"):
        # Before 2019 the least-squares loss was switched off in place of choosing another one.
        words = [part for word in words for part in (("--gan_mode", "vanilla") if word == "--no_lsgan" else (word,))]
        known = cyclegan_flags.CUT if code == "cut" else cyclegan_flags.CYCLEGAN
        name = "CUT" if code == "cut" else "pytorch-CycleGAN-and-pix2pix"
        return cyclegan.convert(Flags(name, known, words, cyclegan_flags.OLDER), images)
    tensorflow = code == "ugatit-tensorflow"
    known = ugatit.TENSORFLOW if tensorflow else ugatit.PYTORCH
    return ugatit.convert(
        Flags(f"UGATIT ({'TensorFlow' if tensorflow else 'PyTorch'})", known, words), f"ugatit{'_tf' * tensorflow}"
    )
