"""What a line that is not TOML most likely means, and how to write it."""

from __future__ import annotations

import re

NULL_WORDS = frozenset({"none", "null", "nil", "~"})
"""What other languages write for no value, in lower case; a recipe writes `"none"`."""
BOOLEANS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}

_PAIR = re.compile(r"\s*(?P<key>[^=\s][^=]*?)\s*=(?P<value>.*)")
_HEADER = re.compile(r"\s*\[\[?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_YAML = re.compile(r"\s*(?:- )?(?P<key>[\w.-]+)\s*:(?:\s+(?P<value>[^\s#].*?))?\s*")
_COMMENT = re.compile(r"(\s+#.*)$")
_TYPOGRAPHIC = str.maketrans("“”„‘’‚«»", '"""\'\'\'""')


def decode(data: bytes) -> str:
    """The text of a recipe file, which is UTF-8, with or without a byte order mark.

    Raises:
        SyntaxProblem: it has another encoding.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise SyntaxProblem(None, "expected UTF-8 text, got UTF-16; save the file as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"expected UTF-8 text, got the byte 0x{data[error.start]:02x}; save the file as UTF-8"
        raise SyntaxProblem(line, message) from error


class SyntaxProblem(Exception):  # noqa: N818  # it becomes a `Problem` where the file's name is known
    """What is wrong with a recipe file's text.

    Args:
        line: number of the line, counted from 1; None for the file as a whole.
        message: what was expected, what was found, and how to write it.
    """

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


def syntax_problem(text: str, suffix: str, error: ValueError) -> SyntaxProblem:
    """The problem that made `tomllib` refuse a text.

    Args:
        text: the whole text.
        suffix: of the file's name, such as `.toml`.
        error: what `tomllib` raised.
    """
    match = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
    reason = str(error)[: match.start()] if match else str(error)
    lines = text.splitlines()
    number = int(match[1]) if match else None
    line = lines[number - 1] if number is not None and number <= len(lines) else ""
    if suffix.lower() not in ("", ".toml"):
        example = "[train] in one line and steps = 5 in the next"
        return SyntaxProblem(None, f"expected a TOML file, got {suffix}; a recipe is written as {example}")
    if text.lstrip().startswith("{"):
        return SyntaxProblem(number, "not TOML but JSON; write [train] in one line and steps = 5 in the next")
    if number is None and "end of document" in reason:
        opened = [index for index, written in enumerate(lines, 1) if re.search(r"=\s*([\[{]|\"\"\"|''')", written)]
        message = "an array, a table or a text is not closed before the end of the file"
        return SyntaxProblem(opened[-1] if opened else None, f"not TOML: {message}")
    fix = _repeated(lines, number or 0, reason) or _fix(line)
    return SyntaxProblem(number, f"not TOML: {fix or reason}")


def _repeated(lines: list[str], number: int, reason: str) -> str:
    """For a table or key that is given twice: where it was first."""
    if not reason.startswith(("Cannot declare", "Cannot overwrite", "Cannot mutate", "Duplicate inline")):
        return ""
    table = ""
    first: dict[str, int] = {}
    for index, line in enumerate(lines[: number - 1], 1):
        if header := _HEADER.fullmatch(line):
            table = header["name"]
            first.setdefault(table, index)
        elif pair := _PAIR.fullmatch(line):
            path = f"{table}.{pair['key']}".removeprefix(".")
            for end in [*(place.start() for place in re.finditer(r"\.", path)), len(path)]:
                first.setdefault(path[:end], index)
    line = lines[number - 1]
    if header := _HEADER.fullmatch(line):
        name = header["name"]
        where = f", first in line {first[name]}" if name in first else ""
        return f"the table [{name}] is given twice{where}; write all of its keys in one place"
    pair = _PAIR.fullmatch(line)
    key = pair["key"] if pair else line.strip()
    path = f"{table}.{key}".removeprefix(".")
    where = f", first in line {first[path]}" if path in first else ""
    return f"{path} is given twice{where}; remove one of them"


def _fix(line: str) -> str:
    """How to write a line; empty where that is not clear."""
    bare = line.strip()
    if bare.startswith(("//", "--", ";", "%", "/*")):
        return f"a comment begins with #, got {_cut(bare)}"
    pair = _PAIR.fullmatch(line)
    if pair is None or (":" in pair["key"] and "[" not in pair["key"]):
        if yaml := _YAML.fullmatch(line):
            write = f"{yaml['key']} = {_valued(yaml['value'])}" if yaml["value"] else f"[{yaml['key']}]"
            return f"expected key = value, got {_cut(bare)}; write {write}"
        if bare.startswith("["):
            return f"expected the name of a table in brackets, got {_cut(bare)}; write [{bare.strip('[] ')}]"
        return f"expected key = value or [table], got {_cut(bare)}" if bare else ""
    key, value = pair["key"], _COMMENT.sub("", pair["value"]).strip()
    return _fix_value(key, value)


def _fix_value(key: str, value: str) -> str:
    """How to write a value."""
    if value == "":
        return f"{key} has no value; write {key} = and a value, or remove the line"
    if value.startswith("="):
        return f"expected one equals sign; write {key} = {value.lstrip('= ')}"
    straight = value.translate(_TYPOGRAPHIC)
    if straight != value:
        return f"expected straight quotes, got {_cut(value)}; write {key} = {straight}"
    if re.fullmatch(r"\".*\\.*\"", value):
        text = value[1:-1]
        quoted = f"'{text}'" if "'" not in text else f'"{text.replace(chr(92), "/")}"'
        return f"in double quotes a backslash begins an escape; write {key} = {quoted}, or / for each backslash"
    if value[0] in "\"'":
        return _fix_quotes(key, value)
    if value.endswith((";", ",")):
        return f"a line ends without {value[-1]!r}; write {key} = {_valued(value.rstrip(';, '))}"
    if value.startswith("{"):
        if "}" not in value:
            return f"a table in braces stands on one line; close it there, or write a table [{key}] of its own"
        return f"in braces write name = value, with commas between; got {_cut(value)}"
    if value.startswith("("):
        return f"an array stands in brackets; write {key} = [{value.strip('()')}]"
    if " = " in value:
        return f"expected one key = value in each line, got {_cut(value)} after {key} ="
    if re.search(r"\d\s*[*/+^-]\s*\d|\w\(", value) and not as_number(value):
        return f"expressions are not computed, got {_cut(value)}; write the number"
    written = _valued(value)
    return f"expected a value, got {_cut(value)}; write {key} = {written}"


def _fix_quotes(key: str, value: str) -> str:
    quote = value[0]
    if value.count(quote) == 1:
        return f"the text is not closed; write {key} = {value}{quote}"
    text = value.strip(quote)
    if quote in text and quote == "'":
        return f'a text that contains \' stands in double quotes; write {key} = "{text}"'
    return f"expected one text in quotes, got {_cut(value)}"


def _valued(value: str) -> str:
    """A bare value as TOML writes it."""
    lowered = value.lower()
    if lowered in NULL_WORDS:
        return '"none"'
    if lowered in BOOLEANS:
        return BOOLEANS[lowered]
    if number := as_number(value):
        return number
    if value.endswith("%") and (number := as_number(value[:-1])):
        return str(float(number.replace("_", "")) / 100)
    if value[0] in "\"'[{":
        return value
    return f"'{value}'" if "'" not in value else f'"{value}"'


def as_number(text: str) -> str:
    """A number as TOML writes it, without leading zeros and with digits around the point; empty for other text."""
    digits = text.replace(",", "_") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text) else text
    if not re.fullmatch(r"[+-]?(\d[\d_]*\.?[\d_]*|\.\d+)([eE][+-]?\d+)?", digits):
        return ""
    sign = digits[0] if digits[0] in "+-" else ""
    mantissa, exponent, power = digits.removeprefix(sign).lower().partition("e")
    whole, point, fraction = mantissa.partition(".")
    whole = whole.lstrip("0_") or "0"
    return f"{sign}{whole}{point}{fraction or ('0' if point else '')}{exponent}{power}"


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
