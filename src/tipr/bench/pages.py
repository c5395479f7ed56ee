"""Tables on a page that the tool writes itself, so that no figure is copied by hand.

A place for one is a block of a Markdown page: `<!-- NAME -->`, what was measured, `<!-- /NAME -->`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from tipr.bench.machine import commit
from tipr.data import whole


def put(into: str, text: str, command: str) -> None:
    """Replaces the block of `PAGE.md#NAME`; the command, the commit and the day stand below it.

    Raises:
        ValueError: there is no such page or block, or it is there twice.
        OSError: the page could not be written; it is intact.
    """
    page, head, tail = check(into)
    day = datetime.now(UTC).date().isoformat()
    found, _, changes = (commit() or "unknown").partition("+")
    made = f"`{command}`, commit {found[:12]}{' with changes' if changes else ''}, {day}."
    try:
        whole.put(page, f"{head}\n{text.strip()}\n\n{made}\n{tail}")
    except OSError as error:
        raise OSError(f"{page} could not be written ({error}); it is as it was") from error


def check(into: str) -> tuple[Path, str, str]:
    """The page, and what stands before and after the contents of the block.

    Raises:
        ValueError: there is no such page or block, or it is there twice.
    """
    name, _, block = into.rpartition("#")
    page = Path(name)
    if not name or not block:
        raise ValueError(f"--into takes PAGE.md#NAME, not {into!r}")
    if not page.is_file():
        raise ValueError(f"there is no page {page}; write one with <!-- {block} --> and "
                         f"<!-- /{block} --> where the table is to stand")  # fmt: skip
    before = page.read_text(encoding="utf-8")
    start, end = f"<!-- {block} -->", f"<!-- /{block} -->"
    if (
        before.count(start) != 1
        or before.count(end) != 1
        or before.index(start) > before.index(end)
    ):
        raise ValueError(f"{page} needs one {start} with one {end} after it, where the table is to "
                         "stand")  # fmt: skip
    return page, before[: before.index(start)] + start, before[before.index(end) :]


def escaped(text: str) -> str:
    """A name as it may stand in a table."""
    return text.replace("|", "\\|")


def folder_name(name: str) -> str:
    """A name as a folder's; letters that a file system may refuse are replaced."""
    return re.sub(r"[^\w.,+=-]+", "-", name).strip("-.")
