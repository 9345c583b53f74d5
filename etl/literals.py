"""Lists as Python writes them (``['a', "b's"]``), read without ever evaluating them."""

import re
from collections.abc import Iterator

Literal = str | int | float | bool | None | list["Literal"] | dict[str, "Literal"]
_LONGEST = 100_000
_DEPTH = 3
_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[\[\]{}:,])|(?P<quoted>'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")"""
    r"""|(?P<number>-?\d{1,15}(?:\.\d{1,15})?)|(?P<name>None|True|False|nan))""",
    re.ASCII | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "\n": ""}
_NAMES: dict[str, Literal] = {"None": None, "nan": None, "True": True, "False": False}


def read_literal(text: str) -> Literal:
    """Return the lists, dictionaries with text keys, texts and numbers that ``text`` spells.

    Raises
    ------
    ValueError
        It is anything else, nested deeper than three, or longer than 100,000 characters.
    """
    if len(text) > _LONGEST:
        raise ValueError("list too long")
    tokens = _tokens(text.strip())
    value = _value(next(tokens, ("end", "")), tokens, 0)
    if next(tokens, None) is not None:
        raise ValueError("not a list as Python writes it")
    return value


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ValueError("not a list as Python writes it")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _value(token: tuple[str, str], tokens: Iterator[tuple[str, str]], depth: int) -> Literal:
    kind, text = token
    if kind == "quoted":
        return _ESCAPE.sub(_unescaped, text[1:-1])
    if kind == "number":
        return float(text) if "." in text else int(text)
    if kind == "name":
        return _NAMES[text]
    if depth < _DEPTH and text in ("[", "{"):
        return _list(tokens, depth + 1) if text == "[" else _dict(tokens, depth + 1)
    raise ValueError("not a list as Python writes it")


def _list(tokens: Iterator[tuple[str, str]], depth: int) -> list[Literal]:
    values: list[Literal] = []
    while (token := next(tokens, ("end", "")))[1] != "]" or token[0] != "mark":
        values.append(_value(token, tokens, depth))
        if _ends(tokens, "]"):
            break
    return values


def _dict(tokens: Iterator[tuple[str, str]], depth: int) -> dict[str, Literal]:
    values: dict[str, Literal] = {}
    while (token := next(tokens, ("end", "")))[1] != "}" or token[0] != "mark":
        key = _value(token, tokens, _DEPTH)
        if not isinstance(key, str) or next(tokens, None) != ("mark", ":"):
            raise ValueError("not a list as Python writes it")
        values[key] = _value(next(tokens, ("end", "")), tokens, depth)
        if _ends(tokens, "}"):
            break
    return values


def _ends(tokens: Iterator[tuple[str, str]], bracket: str) -> bool:
    """Take a comma or the closing bracket; return whether it was the bracket."""
    token = next(tokens, None)
    if token not in (("mark", ","), ("mark", bracket)):
        raise ValueError("not a list as Python writes it")
    return token == ("mark", bracket)


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is None:
        letter: str = found[4]
        return _LETTERS.get(letter, letter if letter in "'\"\\" else "\\" + letter)
    return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else "\ufffd"
