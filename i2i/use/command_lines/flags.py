"""Flags of a command line, of which each must be mapped, named as irrelevant, or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from i2i.core.spelling import nearest
from i2i.errors import I2IError
from i2i.recipe.writing import inline

OWN = ("from", "images", "output")
"""Options of `i2i import-command`, which stand before the other code's command."""
TRUTH = {"yes": True, "true": True, "t": True, "y": True, "1": True}
TRUTH |= {"no": False, "false": False, "f": False, "n": False, "0": False}


@dataclass(frozen=True)
class Flag:
    """A flag of another code.

    Args:
        type: int, float or str; bool for a switch, which may be followed by a word such as `True` if `worded`.
        default: its value where it is not given.
        irrelevant: why no key of a recipe corresponds to it; empty where one does.
        refused: why a command with this flag cannot be converted; empty where it can.
        worded: whether a switch may be followed by its value.
        choices: its values, if they are few.
    """

    type: type
    default: Any = None
    irrelevant: str = ""
    refused: str = ""
    worded: bool = False
    choices: tuple[str, ...] = ()

    def read(self, name: str, text: str) -> Any:
        """Return a value.

        Raises:
            I2IError: it has another type, or is none of the choices.
        """
        if self.type is bool:
            if text.lower() not in TRUTH:
                raise I2IError(f"--{name}: expected True or False, got {text!r}")
            return TRUTH[text.lower()]
        try:
            value = self.type(text)
        except ValueError:
            raise I2IError(
                f"--{name}: expected {'an integer' if self.type is int else 'a number'}, got {text!r}"
            ) from None
        if self.choices and value not in self.choices:
            raise I2IError(f"--{name}: expected one of {', '.join(self.choices)}, got {text!r}")
        return value


@dataclass
class Converted:
    """A recipe from a command line.

    Args:
        base: the recipe that it extends.
        name: of the run.
        settings: values by key, each with the flags that it comes from.
        notes: what the recipe does not hold: flags without a key, and differences that remain.
        arguments: of `i2i train`, such as `--device cpu`.
        launcher: the command before `i2i`'s name, for several processes.
    """

    base: str
    name: str
    settings: dict[str, tuple[Any, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    launcher: str = "i2i"

    def set(self, key: str, value: Any, source: str) -> None:
        """Set a key of the recipe; `source` names the flags, or says that it is a default of the other code."""
        self.settings[key] = (value, source)

    def set_table(self, key: str, table: Mapping[str, Any], source: str) -> None:
        """Set all keys of a table of the recipe."""
        for name, value in table.items():
            self.set(f"{key}.{name}", value, source)

    def values(self) -> dict[str, Any]:
        """Return the settings without their sources."""
        return {key: value for key, (value, _) in self.settings.items()}

    def to_toml(self, command: str, file: str) -> str:
        """Return the recipe's text.

        Args:
            command: the command line, for the first line.
            file: name of the file, for the command that trains it.
        """
        train = " ".join([self.launcher, "train", file, f"--output runs/{self.name}", *self.arguments])
        lines = [f"# From: {' '.join(command.split())}", "#", f"#   {train}", f'extends = "{self.base}"']
        tables: dict[str, list[str]] = {}
        for key, (value, source) in self.settings.items():
            table, _, name = key.rpartition(".")
            written = re.sub(r'"(\w+)" =', r"\1 =", f"{name} = {inline(value)}")
            tables.setdefault(table, []).append(f"{written:<47} # {source}")
        for table, rows in sorted(tables.items()):
            lines += ["", f"[{table}]", *rows]
        return "\n".join(lines) + "\n"


class Flags:
    """The flags of one command line.

    Args:
        code: whose they are, for messages.
        known: all flags of that code.
        words: the words after the program's name.
        aliases: older names of flags.

    Raises:
        I2IError: a flag is unknown, refused, or has a wrong value.
    """

    def __init__(
        self,
        code: str,
        known: Mapping[str, Flag],
        words: Sequence[str],
        aliases: Mapping[str, str] = {},
    ) -> None:
        self.code, self.known = code, known
        self._given: dict[str, Any] = {}
        self._used: set[str] = set()
        rest = list(words)
        while rest:
            word = rest.pop(0)
            name, equals, text = word.removeprefix("--").partition("=")
            name = aliases.get(name, name)
            if not word.startswith("--"):
                raise I2IError(f"expected a flag of {code} such as --{next(iter(known))}, got {word!r}")
            if name not in known:
                if name in OWN:
                    raise I2IError(f"{code} has no flag --{name}; give --{name} of i2i in front of their command")
                near = nearest(name, known)
                raise I2IError(f"{code} has no flag --{name}.{f' Did you mean --{near}?' if near else ''}")
            flag = known[name]
            if flag.refused:
                raise I2IError(f"--{name}: {flag.refused}")
            if not equals and flag.type is bool:
                follows = flag.worded and rest and not rest[0].startswith("--")
                text = rest.pop(0) if follows else "true"
            elif not equals:
                if not rest or rest[0].startswith("--"):
                    raise I2IError(f"--{name}: expected a value")
                text = rest.pop(0)
            self._given[name] = flag.read(name, text)

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def take(self, name: str, default: Any = None) -> Any:
        """Return a flag's value, or its default, and note that the flag was used.

        Args:
            name: of the flag.
            default: in place of the flag's own default, where the method changes it.
        """
        self._used.add(name)
        own = self.known[name].default
        return self._given.get(name, own if default is None else default)

    def source(self, *names: str) -> str:
        """Return the flags among `names` that are given, for a comment; or that they are defaults."""
        given = [f"--{name}" for name in names if name in self]
        return ", ".join(given) or f"default of {self.code}"

    def leftovers(self) -> list[str]:
        """Return a sentence for each given flag that no key stands for.

        Raises:
            I2IError: a flag has neither a key nor a reason.
        """
        left = [name for name in self._given if name not in self._used]
        silent = [name for name in left if not self.known[name].irrelevant]
        if silent:
            raise I2IError(f"--{silent[0]}: has no effect on this method in {self.code}; leave it out")
        return [f"--{name}: {self.known[name].irrelevant}" for name in left]
