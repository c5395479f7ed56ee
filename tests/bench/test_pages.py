from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tipr.bench import pages
from tipr.bench.pages import check, put

PAGE = "# Results\n\n<!-- speed -->\nold\n<!-- /speed -->\n\nmore <!-- other -->\n<!-- /other -->\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path / "page.md"


def test_a_block_is_replaced_and_nothing_else(page, monkeypatch) -> None:
    monkeypatch.setattr(pages, "commit", lambda: "0123456789abcdef+changes")
    put(f"{page}#speed", "| a |\n|---|\n| 1 |\n", "tipr bench speed --n 3")
    text = page.read_text()
    assert "old" not in text
    found = re.search(r"<!-- speed -->\n(.*)<!-- /speed -->", text, re.DOTALL)
    assert found is not None
    table, made = found[1].strip().split("\n\n")
    assert table == "| a |\n|---|\n| 1 |"
    assert re.fullmatch(
        r"`tipr bench speed --n 3`, commit 0123456789ab with changes, \d{4}-\d\d-\d\d\.", made
    )
    assert text.replace(found[1], "old\n") == PAGE
    put(f"{page}#speed", "again", "c")
    assert page.read_text().count("again") == 1 and "| a |" not in page.read_text()
    assert [p.name for p in page.parent.iterdir()] == ["page.md"]


@pytest.mark.parametrize(
    ("into", "message"),
    [
        ("page.md", r"takes PAGE\.md#NAME"), ("{}#", r"takes PAGE\.md#NAME"),
        ("{}#size", "needs one <!-- size --> with one <!-- /size --> after it"),
        ("{}x#speed", "there is no page"),
    ],
)  # fmt: skip
def test_a_place_that_is_not_there_is_named(page, into, message) -> None:
    with pytest.raises(ValueError, match=message):
        put(into.format(page), "text", "c")
    with pytest.raises(ValueError, match=message):
        check(into.format(page))
    assert page.read_text() == PAGE


@pytest.mark.parametrize("text", [PAGE + PAGE, "<!-- /speed -->\n<!-- speed -->"])
def test_doubled_or_turned_blocks_are_refused(page, text) -> None:
    page.write_text(text)
    with pytest.raises(ValueError, match="needs one"):
        put(f"{page}#speed", "text", "c")
    assert page.read_text() == text


def test_a_full_disk_leaves_the_page(page, monkeypatch) -> None:
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="it is as it was"):
        put(f"{page}#speed", "text", "c")
    assert page.read_text() == PAGE
