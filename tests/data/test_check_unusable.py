"""The doctor on annotations of which nothing, or the first entries, can be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reader_cases import picture, row

from tipr.data.check import Report, check_dataset
from tipr.data.check.people import withdrawn_hits
from tipr.data.check.pictures import pictures
from tipr.data.check.published import published_set
from tipr.data.readers.entries import Entry
from tipr.data.shards import shard_of

TABLE = "image,caption,person_id\n"


def examined(root: Path, text: str | bytes, name: str = "people.csv") -> Report:
    for letter in "ab":
        picture(root / "imgs" / f"{letter}.jpg")
    (root / name).write_bytes(text.encode() if isinstance(text, str) else text)
    report = check_dataset(root)
    assert json.dumps(report.to_json()) and str(report)
    assert report.images == root / "imgs"
    return report


@pytest.mark.parametrize(
    ("name", "text", "kind", "says"),
    [
        ("people.csv", "a.jpg,red,1\nb.jpg,y,2\n", "entries that lack something",
         "people.csv, line 1: has no column for the image"),
        ("people.csv", TABLE + 'a.jpg,"hello,1\n', "broken table",
         "people.csv, entry 0, line 2: cannot be read as a table (unexpected end of data); is a"),
        ("people.csv", (TABLE + "a.jpg,caf\u00e9,1\n").encode("latin-1"), "text that is not UTF-8",
         'people.csv, entry 0, line 2: a caption is not UTF-8: "caf\\xe9"; save it as UTF-8'),
        ("people.csv", (TABLE + "a.jpg,x,1\n").encode("utf-16"), "text that is not UTF-8",
         "people.csv: is UTF-16, not UTF-8 text; save it as UTF-8"),
        ("people.json", '[{"image": "a.jpg" "caption"', "broken JSON", "entry 0, line 1: not val"),
        ("people.json", '{"image": "a.jpg"}', "broken JSON", "is one object, no list of entries"),
        ("people.json", json.dumps([row("../a.jpg")]), "file names that cannot be used",
         "entry 0: its image '../a.jpg' leaves the folder"),
        ("people.json", "[]", "no entries", "people.json: holds no entries; is it the whole file?"),
        ("reid_raw.json", "", "broken JSON", "reid_raw.json, entry 0, line 1: not valid JSON"),
    ],
)  # fmt: skip
def test_it_is_a_report_with_the_reason(tmp_path, name, text, kind: str, says: str) -> None:
    report = examined(tmp_path, text, name)
    (finding,) = report.findings
    assert (finding.kind, finding.severity, report.clean) == (kind, "problem", False)
    assert says in finding.examples[0]
    assert report.counts[-3].found == 0
    assert report.layout == ("CUHK-PEDES" if name == "reid_raw.json" else "own data")


def test_an_annotation_that_cannot_be_opened_is_a_report(tmp_path, monkeypatch) -> None:
    opened = Path.open

    def refused(path: Path, *how: object, **more: object) -> object:
        if path.suffix == ".csv":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *how, **more)  # ty: ignore

    monkeypatch.setattr(Path, "open", refused)
    (tmp_path / "people.csv").touch()
    (finding,) = check_dataset(tmp_path).findings
    assert finding.kind == "files that cannot be read"
    assert "cannot be read: permission denied; allow it: chmod" in finding.examples[0]


def test_the_later_entries_are_examined_all_the_same(tmp_path) -> None:
    bad = [row("a.jpg", id=True), row("a.jpg", captions=[])]
    report = examined(tmp_path, json.dumps([*bad, row("b.jpg")]), "reid_raw.json")
    assert report.counts[0].found == 1
    assert {"values of a wrong type", "entries that lack something"} <= {
        finding.kind for finding in report.findings
    }


def test_pictures_of_rows_without_a_split_are_named_by_them(tmp_path) -> None:
    report = examined(tmp_path, TABLE + "a.jpg,x,1\n")
    notes = {finding.kind: finding.examples for finding in report.findings}
    assert notes["images without an entry"] == ("b.jpg",)
    assert "entries without a split" in notes


@pytest.mark.parametrize(("part", "less"), [(0.4, True), (0.6, False)])
def test_half_of_a_published_set_is_that_set_and_less_is_another(part: float, less: bool) -> None:
    from tipr.data.check.published import counted, is_part

    rows = [Entry(i, f"cam_a/{i}.bmp", ("x",), i % 9, "train") for i in range(int(40_206 * part))]
    known = published_set("CUHK-PEDES", rows)
    assert known is not None
    assert is_part(counted(rows, known)) is less


def test_withdrawn_data_are_known_by_the_folder_behind_a_link(tmp_path, monkeypatch) -> None:
    real = tmp_path / "DukeMTMC-reID"
    examined(real, TABLE + "a.jpg,x,1\n")
    (tmp_path / "people").symlink_to(real)
    monkeypatch.chdir(real)
    for path in (tmp_path / "people", Path()):
        report = check_dataset(path)
        assert [f.examples for f in report.findings if f.kind == "withdrawn data"] == [
            ("the folder is called DukeMTMC-reID",)
        ]
    assert not list(withdrawn_hits("duke", []))


def test_the_header_alone_tells_that_a_picture_is_too_large(tmp_path) -> None:
    header = b"P6 10000 8000 255\n"  # 80 million pixels, below the limit of Pillow itself
    (tmp_path / "x.ppm").write_bytes(header + bytes(999))
    (picture_,) = pictures([tmp_path / "x.ppm"], deep=False)
    assert picture_.reason == "too large: 10000 x 8000 pixels, the limit is 64 million"


def test_an_archive_in_a_locked_folder_is_no_archive(tmp_path, monkeypatch) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    assert shard_of(tmp_path / "x.tar" / "a.png") is None
