"""Exports hold every fact, name what is missing, prove themselves and appear whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipr.gallery import exporting
from tipr.gallery.exporting import ExportError, Row, export, rows_of, verify_export
from tipr.gallery.record import Hit, Record
from tipr.gallery.results import Group
from tipr.gallery.store import MemoryStore
from tipr.gallery.tables import csv_text

WHEN = datetime(2026, 11, 1, 15, 4, 5, 250_000, tzinfo=UTC)
FACTS = {"query": "a red coat", "filter": None, "gallery": "/g", "model": "ab12", "when": "now"}


def full(**changes: object) -> Record:
    facts = {
        "id": "ab" * 16, "path": "/g/1.jpg", "extra": {"age": 30, "näme": ["x", None]},
        "camera": "lobby", "time": WHEN, "track": "7", "box": (1, 2, 30, 40), "frame": 12,
        "source": "monday.mp4", "indexed": WHEN + timedelta(days=1), "model": "ab12",
    }  # fmt: skip
    return Record(**{**facts, **changes})


ROWS = [
    Row(record=full(), rank=1, group=1, score=0.75, probability=0.5),
    Row(record=Record("-2")),
]


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def photo(tmp_path: Path) -> Record:
    return picture(tmp_path / "photo.JPG", b"original")


def picture(path: Path, data: bytes, **facts: object) -> Record:
    path.write_bytes(data)
    return Record(hashlib.sha256(data).hexdigest()[:32], str(path), **facts)


def stored(*records: Record) -> MemoryStore:
    """Each with a thumbnail that names it."""
    store = MemoryStore(2)
    store.add(np.ones((len(records), 2)), records, [b"small " + r.id.encode() for r in records])
    return store


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


# Rows


def test_every_hit_of_a_group_is_a_row_and_the_best_shot_has_the_probability() -> None:
    hits = [Hit(0.9 - n / 10, Record(str(n))) for n in range(3)]
    groups = [
        Group(hits[0], (hits[0], hits[2]), 5, None, None, (), 0.8),
        Group(hits[1], (hits[1],), 1, None, None, (), 0.6),
    ]
    told = [(r.record.id, r.rank, r.group, r.score, r.probability) for r in rows_of(groups, 11)]
    assert told == [
        ("0", 11, 11, 0.9, 0.8),
        ("2", 12, 11, 0.7, None),
        ("1", 13, 12, 0.8, 0.6),
    ]


# Tables


def test_csv_has_every_fact_with_crlf_and_no_mark(tmp_path: Path) -> None:
    done = export(ROWS, tmp_path / "new" / "hits.CSV", FACTS)
    data = done.path.read_bytes()
    assert (done.rows, done.missing) == (2, ())
    assert not data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\r\n") == data.count(b"\n") == 3
    first, second = parsed(data.decode())
    assert first == {
        "rank": "1", "group": "1", "score": "0.75", "probability": "0.5", "id": "ab" * 16,
        "camera": "lobby", "time": "2026-11-01T15:04:05.250000+00:00", "track": "7",
        "source": "monday.mp4", "frame": "12", "box": "[1, 2, 30, 40]", "path": "/g/1.jpg",
        "indexed": "2026-11-02T15:04:05.250000+00:00", "model": "ab12",
        "extra": '{"age": 30, "näme": ["x", null]}',
    }  # fmt: skip
    assert (second["id"], second["score"], second["extra"]) == ("'-2", "", "{}")


def test_a_negative_score_stays_a_number_in_csv() -> None:
    text = csv_text([Row(record=Record("a"), score=-0.25).to_json()])
    assert parsed(text)[0]["score"] == "-0.25"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_defused(start: str) -> None:
    wild = f'{start}cmd|" /C calc"!A0'
    record = Record(wild, path=wild, camera=wild, track=wild, source=wild, model=wild)
    (row,) = parsed(csv_text([Row(record=record).to_json()]))
    names = ("id", "path", "camera", "track", "source", "model")
    assert {row[name] for name in names} == {f"'{wild}"}


@given(st.text(), st.text())
def test_no_text_breaks_a_csv_row_or_gets_lost(camera: str, key: str) -> None:
    record = Record("a", camera=camera, extra={key: camera})
    (row,) = parsed(csv_text([Row(record=record).to_json()]))
    dangerous = camera[:1] in {"=", "+", "-", "@", "\t", "\r"} - {""}
    assert row["camera"] == ("'" if dangerous else "") + camera
    assert json.loads(row["extra"]) == {key: camera}


def test_json_has_the_facts_as_header_and_gives_the_records_back(tmp_path: Path) -> None:
    told = json.loads(export(ROWS, tmp_path / "hits.json", FACTS).path.read_text("utf-8"))
    assert told["header"] == FACTS
    first = told["rows"][0]
    said = {name: first.pop(name) for name in ("rank", "group", "score", "probability")}
    assert said == {"rank": 1, "group": 1, "score": 0.75, "probability": 0.5}
    assert Record.from_json(first) == full()
    assert "näme" in (tmp_path / "hits.json").read_text("utf-8")


def test_an_export_says_when_it_was_made(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    told = json.loads(export([], tmp_path / "hits.json", {}).path.read_text("utf-8"))
    assert before <= datetime.fromisoformat(told["header"]["when"]) <= datetime.now(UTC)


@pytest.mark.parametrize("rows", [ROWS, ROWS[1:], []], ids=["two", "nothing known", "none"])
def test_parquet_has_typed_columns_and_the_facts(tmp_path: Path, rows: list[Row]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = export(rows, tmp_path / "hits.parquet", FACTS).path
    table = parquet.read_table(out)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["time"] == kinds["indexed"] == "timestamp[us, tz=UTC]"
    assert (kinds["score"], kinds["rank"], kinds["extra"]) == ("double", "int64", "string")
    assert kinds["box"].startswith("list<")
    assert json.loads(table.schema.metadata[b"tipr"]) == FACTS
    told = table.to_pylist()
    for row in told:
        row["extra"] = json.loads(row["extra"])
    wanted = [{**r.to_json(), "time": r.record.time, "indexed": r.record.indexed} for r in rows]
    assert told == wanted


def test_parquet_without_pyarrow_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'tipr\[export\]'"):
        export(ROWS, tmp_path / "hits.parquet", FACTS)
    assert not any(tmp_path.iterdir())


def test_exporting_needs_no_pyarrow_until_parquet_is_asked_for() -> None:
    code = "import sys; sys.modules['pyarrow'] = None; import tipr.gallery.tables"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_a_table_replaces_an_older_one_whole_or_leaves_it(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / f"hits{ending}"
    out.write_text("older")

    def full_disk(self: Path, other: Path) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full_disk)
        with pytest.raises(OSError, match="no space"):
            export(ROWS, out, FACTS)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "older"
    export(ROWS, out, FACTS)
    assert out.read_bytes() != b"older"


def test_a_table_does_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "hits.csv").mkdir()
    with pytest.raises(ExportError, match="is a folder"):
        export(ROWS, tmp_path / "hits.csv", FACTS)


# Folders


def test_a_folder_holds_the_originals_and_every_fact(tmp_path: Path, photo: Record) -> None:
    facts = photo.to_json() | {"camera": "lobby", "time": WHEN.isoformat(), "extra": {"a": 1}}
    record = Record.from_json(facts)
    out = tmp_path / "case"
    done = export([Row(record=record, rank=1, score=0.5)], out, FACTS, stored(record))
    assert (done.path, done.rows, done.missing) == (out, 1, ())
    name = f"pictures/0001_lobby_20261101T150405Z_{record.id}.jpg"
    assert (out / name).read_bytes() == b"original"
    assert sorted(p.name for p in out.iterdir()) == [
        "manifest.csv", "manifest.json", "manifest.sha256", "pictures",
    ]  # fmt: skip
    told = manifest(out)
    assert told["header"] == {**FACTS, "pictures": 1, "without_original": 0}
    assert told["rows"] == [
        {
            **{"rank": 1, "group": None, "score": 0.5, "probability": None},
            **record.to_json(),
            **{"file": name, "sha256": hashlib.sha256(b"original").hexdigest()},
            **{"picture": "original", "note": ""},
        }
    ]
    (row,) = parsed((out / "manifest.csv").read_bytes().decode())
    assert (row["file"], row["picture"], row["extra"]) == (name, "original", '{"a": 1}')
    assert row["sha256"] == hashlib.sha256(b"original").hexdigest()
    assert verify_export(out) == []


def test_pictures_that_are_gone_or_changed_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good, changed, gone, bare, lost = (picture(tmp_path / n, n.encode()) for n in "abcde")
    Path(changed.path).write_bytes(b"other")
    Path(gone.path).unlink()
    bare = Record(bare.id)
    Path(lost.path).unlink()
    rows = [Row(record=r) for r in (changed, lost, bare, gone, good, Record("no\0path", "\0"))]
    done = export(rows, tmp_path / "case", FACTS, stored(good, changed, gone, bare))
    told = [(row["picture"], row["note"]) for row in manifest(done.path)["rows"]]
    lost_note = "the original cannot be read: no such file or directory"
    assert told[:5] == [
        ("thumbnail", "the original was changed since it was indexed; this is the thumbnail"),
        ("none", f"{lost_note}; no thumbnail either"),
        ("thumbnail", ""),  # none was promised
        ("thumbnail", f"{lost_note}; this is the thumbnail"),
        ("original", ""),
    ]
    assert told[5][0] == "none"
    assert [id for id, _ in done.missing] == [changed.id, lost.id, gone.id, "no\0path"]
    assert done.missing[0][1] == told[0][1]
    header = manifest(done.path)["header"]
    assert (header["pictures"], header["without_original"]) == (4, 4)
    small = next((done.path / "pictures").glob(f"*{changed.id}*"))
    assert (small.name, small.read_bytes()) == (
        f"0001_{changed.id}.jpg",
        b"small " + changed.id.encode(),
    )
    assert verify_export(done.path) == []


def test_records_alone_can_be_exported_without_a_store(tmp_path: Path) -> None:
    done = export([Row(record=Record("a"))], tmp_path / "case", FACTS)
    assert done.missing == (("a", "no original is known; no thumbnail either"),)
    assert verify_export(done.path) == []


WILD = ["../../etc/passwd", "a/b\\c", "..", "CON", "nul.txt", " ", "名" * 300, "x" * 999, "a\nb",
        "\0", "-rf", "*?<>|\":", "\ud800", "COM1 "]  # fmt: skip


@pytest.mark.parametrize("wild", WILD, ids=ascii)
def test_no_name_leads_elsewhere_or_is_one_that_a_system_refuses(wild: str) -> None:
    row = Row(record=Record(wild, camera=wild, time=WHEN))
    name = exporting._name(row, 1, f".{wild}", set())
    assert name.startswith("0001_")
    assert len(name.encode()) <= 255
    assert not set(name) & set('/\\:*?"<>|\n\0')
    assert not name.endswith((".", " "))
    assert "." not in name.removesuffix(".jpg").removesuffix(".con").removesuffix(".CON")


def test_equal_names_are_told_apart_also_where_case_does_not_count(tmp_path: Path) -> None:
    records = [
        picture(tmp_path / f"{n}.png", b"same", camera=n) for n in ("Lobby", "lobby", "LOBBY")
    ]
    done = export([Row(record=r, rank=1) for r in records], tmp_path / "case", FACTS)
    names = [row["file"] for row in manifest(done.path)["rows"]]
    id = records[0].id
    assert names == [
        f"pictures/0001_Lobby_{id}.png",
        f"pictures/0001_lobby_{id}-2.png",
        f"pictures/0001_LOBBY_{id}-3.png",
    ]
    assert verify_export(done.path) == []


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum of GNU coreutils")
def test_sha256sum_checks_all_files_of_a_folder(tmp_path: Path) -> None:
    records = [picture(tmp_path / f"{n}.png", b"%d" % n, camera="Tür 名") for n in range(3)]
    out = export([Row(record=r) for r in records], tmp_path / "case", FACTS).path
    command = ["sha256sum", "--strict", "-c", "manifest.sha256"]
    told = subprocess.run(command, cwd=out, check=True, capture_output=True, text=True).stdout
    files = [p for p in out.rglob("*") if p.is_file() and p.name != "manifest.sha256"]
    assert told.count("OK") == len(files) == 5


def test_files_that_are_missing_changed_or_added_are_named(tmp_path: Path) -> None:
    records = [picture(tmp_path / f"{n}.png", b"%d" % n) for n in range(3)]
    out = export([Row(record=r) for r in records], tmp_path / "case", FACTS).path
    first, second, third = sorted((out / "pictures").iterdir())
    first.unlink()
    second.write_bytes(b"forged")
    third.unlink()
    third.symlink_to(records[2].path)  # the same bytes, but not in the folder
    (out / "pictures" / "more.jpg").write_bytes(b"")
    (out / "elsewhere").symlink_to(tmp_path)
    with (out / "manifest.json").open("a") as file:
        file.write(" ")
    with (out / "manifest.sha256").open("a") as file:
        file.write(f"nonsense\n{'0' * 64}  ../0.png\n")
    assert sorted(verify_export(out)) == sorted([
        f"pictures/{first.name}: missing",
        f"pictures/{second.name}: changed",
        f"pictures/{third.name}: changed",
        "pictures/more.jpg: added",
        "elsewhere: added",
        "manifest.json: changed",
        "manifest.sha256: line 6 is damaged",
        "../0.png: missing",
    ])  # fmt: skip


def test_a_folder_that_is_no_export_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no whole export"):
        verify_export(tmp_path)


def test_an_empty_folder_is_filled_and_any_other_place_refused(
    tmp_path: Path, photo: Record
) -> None:
    (tmp_path / "case").mkdir()
    rows = [Row(record=photo)]
    export(rows, tmp_path / "case", FACTS)
    before = manifest(tmp_path / "case")
    for taken in ("case", "photo.JPG"):
        with pytest.raises(ExportError, match="choose a new name"):
            export([], tmp_path / taken, FACTS)
    assert manifest(tmp_path / "case") == before
    assert Path(photo.path).read_bytes() == b"original"


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=type)
def test_a_folder_appears_whole_or_not_at_all(
    tmp_path: Path, photo: Record, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    out = tmp_path / "new" / "case"
    put = exporting.put

    def breaking(path: Path, data: bytes | str) -> None:
        assert not out.exists()
        if path.name == "manifest.sha256":
            raise error
        put(path, data)

    monkeypatch.setattr(exporting, "put", breaking)
    with pytest.raises(type(error)):
        export([Row(record=photo)], out, FACTS)
    assert not any(out.parent.iterdir())
    monkeypatch.undo()
    assert verify_export(export([Row(record=photo)], out, FACTS).path) == []
