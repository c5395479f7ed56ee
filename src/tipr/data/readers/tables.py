"""The rows of a table with a header: cells apart by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tipr.data.readers.entries import Fault, Report, Row
from tipr.data.readers.fields import doubled, missing

_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"(?=[\t\r\n]|\Z)')  # closed where its cell ends
_OPEN = re.compile(r'"(?:[^"]++|"")*+\Z')
_AHEAD = 100  # lines in which a quotation mark is looked for that closes a cell


def table(file: TextIO, annotation: Path, report: Report) -> Iterator[Row]:
    """The rows of a table; what follows a mistake in its quotation marks is not read."""
    first = file.readline()
    file.seek(0)
    delimiter = max(",;\t", key=first.count)
    cells = (
        _Tabbed(file) if delimiter == "\t" else csv.reader(file, delimiter=delimiter, strict=True)
    )
    number, line = 0, 1
    try:
        header = [name.strip().lower() for name in next(cells, [])]
        fault = _header_fault(header, f"{annotation}, line 1")
        if fault:
            report(fault)
            return
        line = cells.line_num + 1
        for row in cells:
            if row:
                where = f"{annotation}, entry {number}, line {line}"
                yield from _row(Row(number, where, {}), header, row, report)
                number += 1
            line = cells.line_num + 1
    except csv.Error as error:
        report(Fault("csv", f"{annotation}, entry {number}, line {line}", _reason(error)))


def _header_fault(header: list[str], where: str) -> Fault | None:
    lacks = missing(header)
    if lacks:
        has = ", ".join(header) or "none"
        says = f"has no column for {lacks}; its columns are {has}"
        return Fault("keys", where, says)
    twice = doubled(header)
    if twice:
        says = f"has two columns called {' and two called '.join(twice)}; rename one"
        return Fault("twice", where, says)
    return None


def _reason(error: csv.Error) -> str:
    if "field limit" in str(error):
        limit = f"{csv.field_size_limit():,}"
        return f"has a cell of more than {limit} characters; is a quotation mark left open?"
    return f"cannot be read as a table ({error}); is a quotation mark left open?"


def _row(row: Row, header: list[str], cells: list[str], report: Report) -> Iterator[Row]:
    """The row with its cells by column, None where one is empty; nothing if they do not fit."""
    if len(cells) == len(header):
        row.fields = {name: cell or None for name, cell in zip(header, cells, strict=True)}
        yield row
    else:
        says = f"has {len(cells)} cells under {len(header)} columns; quote a text with commas"
        report(Fault("csv", row.where, says))


@dataclass
class _Tabbed:
    """Cells apart by tabs.

    Few programs quote them, so that a cell may begin with a word in quotation marks: it is quoted
    only if the mark that closes it is the last thing in it.
    """

    file: TextIO
    line_num: int = 0  # as csv.reader calls it: lines read so far
    _next: deque[str] = field(default_factory=deque)  # lines looked at and not yet read

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        text = self._line()
        if not text:
            raise StopIteration
        if '"' not in text:
            text = text.rstrip("\r\n")
            return text.split("\t") if text else []
        return self._cells(text)

    def _line(self) -> str:
        text = self._next.popleft() if self._next else self.file.readline()
        self.line_num += bool(text)
        return text

    def _cells(self, text: str) -> list[str]:
        cells: list[str] = []
        at = 0
        while True:
            quoted, text = self._quoted(text, at)
            end = quoted.end() if quoted else _end(text, at)
            cells.append(quoted[1].replace('""', '"') if quoted else text[at:end])
            if not text.startswith("\t", end):
                return cells
            at = end + 1

    def _quoted(self, text: str, at: int) -> tuple[re.Match[str] | None, str]:
        """The quoted cell that begins here, and the text with the further lines it goes on in."""
        if not text.startswith('"', at):
            return None, text
        longer, taken = text, 0
        while _OPEN.match(longer, at) and self._ahead(taken):
            longer += self._next[taken]
            taken += 1
        quoted = _QUOTED.match(longer, at)
        if quoted is None:
            return None, text
        for _ in range(taken):
            self._line()
        return quoted, longer

    def _ahead(self, taken: int) -> bool:
        """Whether there is one more line to look at; it is then the last of `_next`."""
        if taken == len(self._next) < _AHEAD:
            text = self.file.readline()
            if text:
                self._next.append(text)
        return taken < len(self._next)


def _end(text: str, at: int) -> int:
    """Where the cell ends that begins here."""
    tab = text.find("\t", at)
    return tab if tab >= 0 else at + len(text[at:].rstrip("\r\n"))
