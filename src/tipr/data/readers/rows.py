"""The raw rows of an annotation: a JSON list, JSON lines or a table with a header.

A file is read piece by piece and each row is let go after use, so that a million entries with long
lists of words cost no more memory than what is kept of them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tipr.data.readers.entries import DatasetError, Fault, Report
from tipr.data.readers.fields import missing

TABLES = (".csv", ".tsv")
_CHUNK = 1 << 18  # characters
_DIGITS = 100  # longer numbers are no ids, and Python refuses to read some of them
_BLANK = re.compile(r"\s*")


@dataclass(slots=True)
class Row:
    """One entry before anything about it was checked."""

    number: int  # from 0
    where: str  # file, entry and line, for messages
    fields: dict[str, Any]


def rows(annotation: Path, report: Report) -> Iterator[Row]:
    """Every row of a file that is an object with keys; the others go to `report`.

    What follows a mistake in the syntax of a list or a table is not read.

    Raises:
        DatasetError: the file cannot be opened, or is no UTF-8 text.
    """
    suffix = annotation.suffix.lower()
    reader = _table if suffix in TABLES else _lines if suffix == ".jsonl" else _array
    try:
        with annotation.open(encoding="utf-8-sig", newline="") as file:
            yield from reader(file, annotation, report)
    except UnicodeDecodeError as error:
        way = "save it as UTF-8" if suffix in TABLES else "it is not valid JSON; copy it again"
        raise DatasetError(f"{annotation} is not UTF-8 text ({error.reason}); {way}") from error
    except OSError as error:
        raise DatasetError(f"{annotation} cannot be read: {error.strerror}") from error


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float("inf")


_DECODER = json.JSONDecoder(parse_int=_integer)


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
            except json.JSONDecodeError:
                if not self.more():
                    raise


def _array(file: TextIO, annotation: Path, report: Report) -> Iterator[Row]:
    window, number, name = _Window(file), -1, str(annotation)
    try:
        for number, value in enumerate(_values(window, annotation)):
            where = f"{name}, entry {number}"
            if isinstance(value, dict):
                yield Row(number, where, value)
            else:
                report(_no_object(where))
    except (json.JSONDecodeError, RecursionError) as error:
        line = window.line_of(getattr(error, "pos", window.at))
        where = f"{annotation}, entry {number + 1}, line {line}"
        report(Fault("json", where, f"not valid JSON ({_reason(error)}); copy the file again"))


def _values(window: _Window, annotation: Path) -> Iterator[Any]:
    if window.peek() == "{":
        says = "is one object, no list of entries; name it .jsonl if it holds one in each line"
        raise DatasetError(f"{annotation} {says}")
    window.expect("[")
    if window.peek() == "]":
        window.at += 1
    else:
        yield window.value()
        while window.expect(",]") == ",":
            yield window.value()
    if window.peek():
        raise json.JSONDecodeError("text after the end of the list", window.text, window.at)


def _no_object(where: str) -> Fault:
    return Fault("type", where, "is no object with keys; expected {...}")


def _lines(file: TextIO, annotation: Path, report: Report) -> Iterator[Row]:
    number = 0
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        where = f"{annotation}, entry {number}, line {line}"
        try:
            value = _DECODER.decode(text)
        except (json.JSONDecodeError, RecursionError) as error:
            says = f"not valid JSON ({_reason(error)}); each line is one object"
            report(Fault("json", where, says))
        else:
            if isinstance(value, dict):
                yield Row(number, where, value)
            else:
                report(_no_object(where))
        number += 1


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"


def _table(file: TextIO, annotation: Path, report: Report) -> Iterator[Row]:
    first = file.readline()
    file.seek(0)
    reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
    number, line = 0, 1
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        lacks = missing(header)
        if lacks:
            says = f"has no column for {lacks}; its columns are {', '.join(header) or 'none'}"
            report(Fault("keys", f"{annotation}, line 1", says))
            return
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                where = f"{annotation}, entry {number}, line {line}"
                yield from _row(Row(number, where, {}), header, cells, report)
                number += 1
            line = reader.line_num + 1
    except csv.Error as error:
        says = f"cannot be read as a table ({error}); is a quotation mark left open?"
        report(Fault("csv", f"{annotation}, entry {number}, line {line}", says))


def _row(row: Row, header: list[str], cells: list[str], report: Report) -> Iterator[Row]:
    """The row with its cells by column, None where one is empty; nothing if they do not fit."""
    if len(cells) == len(header):
        row.fields = {name: cell or None for name, cell in zip(header, cells, strict=True)}
        yield row
    else:
        says = f"has {len(cells)} cells under {len(header)} columns; quote a text with commas"
        report(Fault("csv", row.where, says))
