"""Many byte strings are found in files where they stand, and nowhere else."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipr.gallery import needles
from tipr.gallery.needles import Needles, files_holding

_FEW = st.text("ab\0", max_size=80).map(str.encode)  # few letters: many places nearly match


@given(_FEW, st.lists(_FEW, max_size=8), st.data())
def test_the_same_strings_are_found_as_by_looking_for_each(
    data: bytes, wanted: list[bytes], draw: st.DataObject
):
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
    wanted += [data[low:high] for low, high in pairwise(cuts)]
    assert Needles(wanted).found(data) == {one for one in wanted if one and one in data}


@pytest.mark.parametrize("length", [3, 8, 31, 64])
def test_a_string_is_found_at_every_place_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
):
    monkeypatch.setattr(needles, "_CHUNK", 100)
    needle = bytes(range(1, length + 1))
    for place in range(250):
        (tmp_path / f"{place:03d}").write_bytes(bytes(place) + needle + bytes(400 - place))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/cut").write_bytes(needle[:-1] + bytes(500) + needle[1:])
    (tmp_path / "deep/end").write_bytes(bytes(500) + needle)
    (tmp_path / "empty").touch()
    expected = [f"{place:03d}" for place in range(250)] + ["deep/end"]
    assert files_holding(tmp_path, [needle]) == expected


def test_without_strings_nothing_is_found(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files_holding(tmp_path, []) == []
