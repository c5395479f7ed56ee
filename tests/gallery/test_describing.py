"""Facts of crops come from what holds for all, from names, and from a table beside the pictures."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tipr.gallery.describing import describer
from tipr.gallery.fact_tables import table_in
from tipr.gallery.facts import FactError

WHEN = datetime(2026, 11, 1, 14, 30, 5, tzinfo=UTC)


def told(names: str, name: str, zone: str | None = "UTC") -> dict[str, Any]:
    return describer(names=names, zone=zone)(Path("/photos") / name, name)


def table(folder: Path, text: str, name: str = "records.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_says_nothing():
    assert describer()(Path("a.jpg"), "a.jpg") == {}


def test_fixed_facts_hold_for_every_file():
    both = describer({"camera": "lobby", "frame": "0", "site": "north", "car.make": "x"})
    facts = {"camera": "lobby", "frame": 0, "extra": {"site": "north", "car": {"make": "x"}}}
    assert both(Path("a.jpg"), "a.jpg") == both(Path("b/c.jpg"), "b/c.jpg") == facts


def test_a_pattern_reads_the_whole_name():
    pattern = "{camera}/{time:%Y%m%d_%H%M%S}_{track}_{frame}.jpg"
    assert told(pattern, "north door/20261101_143005_17b_0042.jpg") == {
        "camera": "north door", "time": WHEN, "track": "17b", "frame": 42,
    }  # fmt: skip


def test_names_of_ones_own_are_kept_beside_the_fields_and_others_passed_over():
    found = told("{site}/{_}-{source}.{_}", "07/x-y-z.mp4.jpg")
    assert found == {"source": "y-z", "extra": {"site": "07"}}


def test_what_is_not_in_braces_stands_for_itself():
    assert told("a+(b)/{camera}[1].jpg", "a+(b)/x[1].jpg") == {"camera": "x"}


def test_a_time_may_be_spread_over_folders():
    pattern = "{time:%Y-%m-%d}/{time:%H}/{camera}/{time:%M.%S}.{_}"
    assert told(pattern, "2026-11-01/14/gate/30.05.webp") == {"camera": "gate", "time": WHEN}


def test_times_are_of_the_zone_unless_they_name_one():
    local = told("{time:%Y%m%d%H%M%S}.jpg", "20261101143005.jpg", "America/New_York")
    assert local == {"time": WHEN + timedelta(hours=5)}
    summer = told("{time:%Y%m%d%H%M%S}.jpg", "20260701143005.jpg", "America/New_York")
    assert summer == {"time": datetime(2026, 7, 1, 18, 30, 5, tzinfo=UTC)}
    assert told("{time:%Y%m%dT%H%M%S%z}.jpg", "20261101T153005+0100.jpg", None) == {"time": WHEN}


@pytest.mark.parametrize(
    "text", ["1793543405", "2026-11-01T14:30:05Z", "2026-11-01T15:30:05+01:00"]
)
def test_a_time_without_a_format_is_iso_8601_or_unix_seconds(text: str):
    assert told("{camera}_{time}.jpg", f"a_{text}.jpg", None) == {"camera": "a", "time": WHEN}


def test_digits_side_by_side_are_told_apart_by_the_widths_of_times():
    found = told("{camera}{time:%Y%m%d%H%M%S}{frame}.jpg", "cam120261101143005007.jpg")
    assert found == {"camera": "cam1", "time": WHEN, "frame": 7}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.png", "a.png does not fit the pattern {camera}/{time:%Y%m%d}_{frame}.jpg"),
        ("x/lobby/20261101_1.jpg", "x/lobby/20261101_1.jpg does not fit the pattern"),
        ("lobby/20261101_1.jpg.bak", "does not fit"),
        ("lobby/20261101_1xjpg", "does not fit"),
        ("lobby/20261301_1.jpg", "does not fit the pattern"),
        ("lobby/20260230_1.jpg", "_{frame}.jpg: day is out of range"),
        ("lobby/20261101_one.jpg", "does not fit"),
    ],
)
def test_a_name_that_does_not_fit_is_told_with_the_pattern(name: str, says: str):
    with pytest.raises(FactError, match=re.escape(says)):
        told("{camera}/{time:%Y%m%d}_{frame}.jpg", name)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (
            "{camera}{track}.jpg",
            "{camera}{track} of the pattern {camera}{track}.jpg: nothing tells where",
        ),
        ("{_}{time}.jpg", "nothing tells"),
        ("{camera}/{camera}.jpg", "{camera} stands twice"),
        ("{camera.jpg", "brace"),
        ("camera}.jpg", "brace"),
        ("{}.jpg", "{} of the pattern {}.jpg is no part"),
        ("{id}.jpg", "{id} of the pattern"),
        ("{box}.jpg", "{box} of the pattern"),
        ("{9}.jpg", "{9} of the pattern"),
        ("{frame:%d}.jpg", "only a time has a format"),
        ("{time:}.jpg", "only a time has a format"),
        ("{time:%H%M}.jpg", "no whole date"),
        ("{time:%Y%m}.jpg", "no whole date"),
        ("{time:%Y%m%d}_{time}.jpg", "no whole date"),
        ("{time:%Y%m%d}_{time:%d%H}.jpg", "said twice"),
        ("{time:%Y%m%d%Q}.jpg", "%Q of the pattern {time:%Y%m%d%Q}.jpg is not known; known are %Y"),
        ("{time:%Y%m%d%}.jpg", "% of the pattern"),
        ("*.jpg", ".jpg, or the name of a data set: market, rstp, icfg, cuhk"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_at_once(pattern: str, says: str):
    with pytest.raises(FactError, match=re.escape(says)):
        describer(names=pattern, zone="UTC")


def test_a_zone_is_asked_for_and_checked_at_once():
    with pytest.raises(FactError, match="in no time zone; say which, as Europe/Berlin"):
        describer(names="{time:%Y%m%d}.jpg")
    with pytest.raises(FactError, match="no time zone 'Berlin'"):
        describer(names="{camera}.jpg", zone="Berlin")
    with pytest.raises(FactError, match="no time zone 'Berlin'"):
        describer(zone="Berlin")


@pytest.mark.parametrize(
    ("preset", "name", "facts"),
    [
        ("market", "bounding_box_test/0002_c1s1_000451_03.jpg",
         {"camera": "1", "source": "c1s1", "frame": 451, "extra": {"person": "0002"}}),
        ("market", "-1_c6s3_094992_07.jpg.jpg",
         {"camera": "6", "source": "c6s3", "frame": 94992, "extra": {"person": "-1"}}),
        ("rstp", "imgs/0000_c14_0022.jpg",
         {"camera": "14", "frame": 22, "extra": {"person": "0000"}}),
        ("icfg", "imgs/test/0627/0627_010_05_0303afternoon_1591_1.jpg",
         {"camera": "5", "extra": {"person": "0627", "period": "0303afternoon"}}),
        ("cuhk", "imgs/Market/11016_c1s1_034101_00.jpg",
         {"camera": "1", "source": "Market", "frame": 34101, "extra": {"person": "11016"}}),
        ("cuhk", "train_query/p11600_s14885.jpg",
         {"source": "train_query", "extra": {"person": "11600", "scene": "14885"}}),
        ("cuhk", "imgs/cam_a/215_45.bmp", {"source": "cam_a"}),
    ],
)  # fmt: skip
def test_the_names_of_data_sets_are_known(preset: str, name: str, facts: dict[str, Any]):
    assert told(preset, name) == facts


def test_a_name_that_is_not_of_the_data_set_is_told_with_an_example():
    with pytest.raises(FactError, match=r"a\.jpg does not fit names of market, as 0002_c1s1_"):
        told("market", "a.jpg")


def test_a_csv_table_gives_fields_and_keys_of_extra(tmp_path: Path):
    text = (
        "\ufeffpath,camera,time,track,box,frame,source,age,hat,code,car.make\r\n"
        'cam0/1.jpg,lobby,2026-11-01T15:30:05+01:00,7,"1,2,30,40",5,x.mp4,31,true,007,"a ""b"""\r\n'
        ",,,,,,,,,,\r\n"
        "./cam0\\2.jpg,12,1793543405,,,,,,,,\r\n"
    )
    read = describer(table=table(tmp_path, text))
    assert read(tmp_path / "cam0/1.jpg", "cam0/1.jpg") == {
        "camera": "lobby", "time": WHEN, "track": "7", "box": (1, 2, 30, 40), "frame": 5,
        "source": "x.mp4",
        "extra": {"age": 31, "hat": True, "code": "007", "car": {"make": 'a "b"'}},
    }  # fmt: skip
    assert read(tmp_path / "cam0/2.jpg", "cam0/2.jpg") == {"camera": "12", "time": WHEN}
    assert read(tmp_path / "3.jpg", "3.jpg") == {}


def test_a_tsv_and_a_jsonl_table_say_the_same(tmp_path: Path):
    tabs = table(
        tmp_path, "path\ttime\tbox\tage\na.jpg\t2026-11-01 14:30:05\t1,2,3,4\t31\n", "x.tsv"
    )
    row = {"path": "a.jpg", "time": 1793543405, "box": [1, 2, 3, 4], "age": 31, "hat": None}
    lines = table(tmp_path, f"\n{json.dumps(row)}\n", "x.jsonl")
    facts = {"time": WHEN, "box": (1, 2, 3, 4), "extra": {"age": 31}}
    for path in (tabs, lines):
        assert describer(table=path, zone="UTC")(Path("a.jpg"), "a.jpg") == facts


def test_the_table_overrules_names_and_names_overrule_what_holds_for_all(tmp_path: Path):
    rows = table(tmp_path, "path,track,lens\na_7_1.jpg,8,wide\nb_7_1.jpg,,\n")
    read = describer(
        {"camera": "x", "source": "s", "track": "0", "lens": "tele", "site": 1},
        "{camera}_{track}_{frame}.jpg",
        rows,
    )
    assert read(Path("a_7_1.jpg"), "a_7_1.jpg") == {
        "camera": "a", "track": "8", "frame": 1, "source": "s",
        "extra": {"lens": "wide", "site": 1},
    }  # fmt: skip
    assert read(Path("b_7_1.jpg"), "b_7_1.jpg") == {
        "camera": "b", "track": "7", "frame": 1, "source": "s",
        "extra": {"lens": "tele", "site": 1},
    }  # fmt: skip


def test_rows_that_match_no_file_are_named(tmp_path: Path):
    read = describer(table=table(tmp_path, "path,camera\na.jpg,1\nb.jpg,2\nc.jpg,3\n"))
    assert read.unused() == ["a.jpg", "b.jpg", "c.jpg"]
    read(Path("b.jpg"), "b.jpg")
    read(Path("d.jpg"), "d.jpg")
    assert read.unused() == ["a.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("path,time\na.jpg,\nb.jpg,soon\n", "records.csv, line 3: time is 'soon'"),
        ("path,time\na.jpg,2026-11-01T15:00\n", "line 2: .* in no time zone"),
        ('path,box,note\na.jpg,,"two\nlines"\nb.jpg,"1,2,3",\n', "line 4: box is '1,2,3'"),
        ("path,frame\na.jpg,1.5\n", "line 2: frame is '1.5'"),
        ("path,camera\na.jpg,1\nb.jpg,2\n./a.jpg,3\n", "line 4: a.jpg is in line 2 already"),
        ("path,camera\n,1\n", "line 2: it has no path"),
        ("path,camera\na.jpg\n", "line 2: 1 cells under 2 columns"),
        ("path,camera\na.jpg,1,2\n", "line 2: 3 cells under 2 columns"),
        ("path,id\na.jpg,1\n", "line 2: id is not given by hand"),
        ("path;camera\na.jpg;1\n", "line 1: the columns are path;camera; .* commas"),
        ("path,camera,camera\na.jpg,1,2\n", "line 1: the columns"),
        ("path,camera,\na.jpg,1,2\n", "line 1: the columns"),
        ("", "line 1: the columns are missing"),
        ('path,camera\na.jpg,"1"2\n', "cannot be read as a table"),
        ("path,a,a.b\na.jpg,1,2\n", "line 2: a.b leads into 1"),
    ],
)
def test_a_bad_row_of_a_table_is_named_with_its_line(tmp_path: Path, rows: str, says: str):
    with pytest.raises(FactError, match=says):
        describer(table=table(tmp_path, rows))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ('{"path": "a.jpg"}\n{"path": ', "records.jsonl, line 2: it is no JSON object"),
        ("[1]\n", "line 1: it is no JSON object"),
        ('{"path": 3}\n', "line 1: it has no path"),
        ('\n{"path": "a.jpg", "frame": "x"}\n', "line 2: frame is 'x'"),
        ('{"path": "a.jpg", "z": NaN}\n', "line 1: z is nan"),
    ],
)
def test_a_bad_line_of_json_is_named(tmp_path: Path, rows: str, says: str):
    with pytest.raises(FactError, match=says):
        describer(table=table(tmp_path, rows, "records.jsonl"))


def test_files_that_are_no_tables_are_refused(tmp_path: Path):
    with pytest.raises(FactError, match="is no table of facts"):
        describer(table=table(tmp_path, "", "records.xlsx"))
    (tmp_path / "records.csv").write_bytes("path,camera\na.jpg,\u00e9\n".encode("latin-1"))
    with pytest.raises(FactError, match="is not UTF-8"):
        describer(table=tmp_path / "records.csv")


def test_the_table_of_a_folder_is_found(tmp_path: Path):
    assert table_in(tmp_path) is None
    path = table(tmp_path, "", "records.tsv")
    assert table_in(tmp_path) == path
    table(tmp_path, "")
    with pytest.raises(FactError, match=r"holds records.csv and records.tsv; keep the right one"):
        table_in(tmp_path)


@pytest.mark.parametrize("fixed", [{"path": "a"}, {"frame": "x"}, {"id": "a"}])
def test_a_fixed_fact_that_cannot_be_is_refused_at_once(fixed: dict[str, Any]):
    with pytest.raises(FactError):
        describer(fixed)
