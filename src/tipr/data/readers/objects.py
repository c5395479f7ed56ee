"""The rows of a JSON list, or of lines with one JSON object each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tipr.data.readers.entries import Fault, Report, Row
from tipr.data.readers.fields import doubled

_CHUNK = 1 << 18  # characters
_DIGITS = 100  # longer numbers are no ids, and Python refuses to read some of them
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Doubled:
    """In place of an object that has some of the keys that are read twice."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"has {' and '.join(self.names)} twice; keep one"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Doubled:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = doubled(name for name, _ in pairs)
        return Doubled(tuple(names)) if names else fields
    return fields


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float("inf")


_DECODER = json.JSONDecoder(parse_int=_integer, object_pairs_hook=_object)


def decoded(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nested too deeply; the message says what is wrong with it.
    """
    try:
        return _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(_reason(error)) from error


class _Window:
    """A text file seen through a part of it that moves on."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.text, self.at, self.line = file, "", 0, 1

    def more(self) -> bool:
        """Lets go of what was read and takes in as much again as is left, at least one chunk."""
        self.line += self.text.count("\n", 0, self.at)
        self.text, self.at = self.text[self.at :], 0
        added = self.file.read(max(_CHUNK, len(self.text)))
        self.text += added
        return bool(added)

    def line_of(self, place: int) -> int:
        return self.line + self.text.count("\n", 0, place)

    def peek(self) -> str:
        """The next character that is no white space; nothing at the end of the file."""
        while True:
            blank = _BLANK.match(self.text, self.at)
            self.at = blank.end() if blank else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def expect(self, choices: str) -> str:
        found = self.peek()
        if not found or found not in choices:
            wanted = " or ".join(choices)
            raise json.JSONDecodeError(f"expected {wanted}", self.text, self.at)
        self.at += 1
        return found

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, self.at = _DECODER.raw_decode(self.text, self.at)
                return value
            except json.JSONDecodeError as error:
                beyond = error.pos - self.at  # how far on, once the window has moved
                if not self.more():
                    raise json.JSONDecodeError(error.msg, self.text, beyond) from error


def listed(file: TextIO, annotation: Path, report: Report) -> Iterator[Row]:
    """The rows of a JSON list; what follows a mistake in its syntax is not read."""
    window, number, name = _Window(file), -1, str(annotation)
    if window.peek() == "{":
        says = "is one object, no list of entries; name it .jsonl if it holds one in each line"
        report(Fault("json", name, says))
        return
    try:
        for number, value in enumerate(_values(window)):
            where = f"{name}, entry {number}"
            if isinstance(value, dict):
                yield Row(number, where, value)
            else:
                report(_unfit(where, value))
    except (json.JSONDecodeError, RecursionError) as error:
        line = window.line_of(getattr(error, "pos", window.at))
        where = f"{annotation}, entry {number + 1}, line {line}"
        report(Fault("json", where, f"not valid JSON ({_reason(error)}); copy the file again"))


def _values(window: _Window) -> Iterator[Any]:
    window.expect("[")
    if window.peek() == "]":
        window.at += 1
    else:
        yield window.value()
        while window.expect(",]") == ",":
            yield window.value()
    if window.peek():
        raise json.JSONDecodeError("text after the end of the list", window.text, window.at)


def lines(file: TextIO, annotation: Path, report: Report) -> Iterator[Row]:
    """The rows of a file with one JSON object in each line; a bad line spoils no other."""
    number = 0
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        where = f"{annotation}, entry {number}, line {line}"
        try:
            value = decoded(text)
        except ValueError as error:
            report(Fault("json", where, f"not valid JSON ({error}); each line is one object"))
        else:
            if isinstance(value, dict):
                yield Row(number, where, value)
            else:
                report(_unfit(where, value))
        number += 1


def _unfit(where: str, value: Any) -> Fault:
    if isinstance(value, Doubled):
        return Fault("twice", where, str(value))
    return Fault("type", where, "is no object with keys; expected {...}")


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
