from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_cases import annotated, faults_of, row

from tipr.data.readers import DatasetError, read_dataset
from tipr.data.readers.entries import Fault, strict
from tipr.data.readers.fields import BadField, checked_path
from tipr.data.readers.layouts import entries, recognised
from tipr.data.readers.rows import rows as raw_rows


def second(**changes: Any) -> list[dict[str, Any]]:
    """A sound entry, and one with these changes."""
    return [row(), row("b.jpg", **{"id": 2, **changes})]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"id": 1,', "entry 0, line 1: not valid JSON"),
        ("", "entry 0, line 1: not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"id": 1}', r"one object, no list of entries; name it \.jsonl"),
        ("[]", "holds no entries"),
        ("[1, 2]", "entry 0: is no object"),
        ('"people"', "not valid JSON"),
    ],
)
def test_a_file_that_is_no_list_of_entries_is_named(tmp_path, text: str, says: str) -> None:
    with pytest.raises(DatasetError, match=rf"reid_raw\.json.*{says}"):
        read_dataset(annotated(tmp_path, text))


@pytest.mark.parametrize("end", ["", ",", ", {]", "] x", ',\n{"id": NULL}]', "} ]"])
def test_broken_json_names_the_entry_and_the_line_of_it(tmp_path, end: str) -> None:
    rows = ",\n".join(json.dumps(row(f"{i}.jpg", id=i)) for i in range(3))
    root = annotated(tmp_path, f"[\n{json.dumps(row())},\n{rows}{end}")
    with pytest.raises(DatasetError, match=r"reid_raw\.json, entry 4, line [56]: not valid JSON"):
        read_dataset(root)
    assert len(entries(recognised(root), [])) == 4


@pytest.mark.parametrize("broken", [0, 1, 20, 500, 2500, 2999])
@pytest.mark.parametrize("wrong", ["captions", '"captions" x', '"captions": "a\n'])
@pytest.mark.parametrize("space", ["", "\n" * 70_000])
def test_the_line_of_a_mistake_is_told_exactly(tmp_path, broken, wrong: str, space: str) -> None:
    lines = [json.dumps(row(f"{i}.jpg", id=i)) for i in range(3000)]
    lines[broken] = lines[broken].replace('"captions"', wrong)
    (tmp_path / "reid_raw.json").write_text(f"[{space}\n" + ",\n".join(lines) + "\n]")
    faults: list[Fault] = []
    kept = list(raw_rows(tmp_path / "reid_raw.json", faults.append))
    line = len(space) + broken + 2
    assert [fault.where for fault in faults] == [
        f"{tmp_path}/reid_raw.json, entry {broken}, line {line}"
    ]
    assert len(kept) == broken


def test_each_entry_that_is_no_utf8_is_told_and_the_others_kept(tmp_path) -> None:
    rows = [row(), row("b.jpg", captions=["a r\u00e9d coat"]), row("c.jpg", camera="\u00e9")]
    rows += [row("d.jpg", id="Andr\u00e9"), row("\u00e9.jpg")]
    annotated(tmp_path, rows)
    text = json.dumps([*rows, row("e.jpg", captions=["a blue hat"])], ensure_ascii=False)
    (tmp_path / "reid_raw.json").write_bytes(text.encode("latin-1"))
    faults = faults_of(tmp_path)
    assert [(fault.kind, fault.where[-7:]) for fault in faults] == [
        ("text", f"entry {number}") for number in (1, 2, 3, 4)
    ]
    assert faults[0].says == 'a caption is not UTF-8: "a r\\xe9d coat"; save it as UTF-8'
    assert [e.file for e in entries(recognised(tmp_path), [])] == ["a.jpg", "e.jpg"]


def test_text_that_is_no_utf8_is_refused(tmp_path) -> None:
    annotated(tmp_path, [row()])
    (tmp_path / "reid_raw.json").write_bytes(b'[{"id": 1, "file_path": "a \xff"}]')
    says = (
        r'reid_raw\.json, entry 0: the name of its image is not UTF-8: "a \\xff"; save it as UTF-8'
    )
    with pytest.raises(DatasetError, match=says):
        read_dataset(tmp_path)


def test_a_byte_order_mark_is_no_mistake(tmp_path) -> None:
    root = annotated(tmp_path, "\ufeff" + json.dumps([row()]))
    assert len(read_dataset(root).train) == 1


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"file_path": ...}, "keys", "names no image; add file_path"),
        ({"file_path": 3}, "type", "its image is 3; expected a file's name"),
        ({"file_path": " "}, "path", "its image ' ' is no file's name"),
        ({"captions": ...}, "keys", "has no caption; add captions"),
        ({"captions": []}, "keys", "list of captions is empty; write one or remove"),
        ({"captions": ["", " \n"]}, "keys", "b.jpg has only empty captions"),
        ({"captions": {"en": "x"}}, "type", "its captions are {'en': 'x'}; expected a list"),
        ({"captions": ["x", 3]}, "type", "a caption is 3; expected a sentence"),
        ({"captions": ["x", None]}, "type", "a caption is None"),
        ({"captions": ["a \ud83d coat"]}, "type", "half a character"),
        ({"id": ...}, "keys", "has no person; add person_id"),
        ({"id": ..., "image_id": 4}, "keys", "image_id names a picture, not a person"),
        ({"id": None}, "keys", "has no person"),
        ({"id": True}, "type", "its person is True; expected a whole number"),
        ({"id": 1.0}, "type", "its person is 1.0; expected a whole number"),
        ({"id": float("nan")}, "type", "its person is nan"),
        ({"id": [1]}, "type", "its person is [1]"),
        ({"id": -1}, "type", "its person is -1; ids go from 0"),
        ({"id": "-1"}, "type", "its person is -1; ids go from 0"),
        ({"id": 2**63}, "type", "ids go from 0 to 2^63 - 1"),
        ({"id": 10**4000}, "type", "its person is inf"),
        ({"split": ...}, "split", "names no split; write train, val or test"),
        ({"split": "query"}, "split", "its split is 'query'; expected train, val or test"),
        ({"split": 1}, "split", "its split is 1"),
        ({"split": ["train"]}, "split", "its split is ['train']"),
        ({"camera": [1]}, "type", "its camera is [1]; expected a number or a name"),
    ],
)
def test_a_bad_value_is_named_with_file_entry_and_fix(
    tmp_path, changes: dict[str, Any], kind: str, says: str
) -> None:
    root = annotated(tmp_path, second(**changes))
    (fault,) = faults_of(root)
    assert fault.kind == kind
    assert fault.where.endswith("reid_raw.json, entry 1")
    assert says in fault.says
    with pytest.raises(DatasetError) as error:
        read_dataset(root)
    assert str(error.value) == str(fault)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("../secret.jpg", "leaves the folder"),
        ("x/../../secret.jpg", "leaves the folder"),
        ("x/..", "leaves the folder"),
        (".", "leaves the folder"),
        ("/etc/passwd", "absolute path; write it relative"),
        ("//host/share.jpg", "absolute path"),
        ("C:/people/a.jpg", "absolute path"),
        ("C:a.jpg", "absolute path"),
        ("C:\\people\\a.jpg", "backslashes; write a/b.jpg"),
        ("..\\a.jpg", "backslashes"),
        ("a\0.jpg", "no file name may have"),
        ("a\n.jpg", "no file name may have"),
        ("a\ud800.jpg", "no file name may have"),
        ("a/" * 3000, "a name of 6000 characters"),
    ],
)
def test_a_file_outside_the_folder_of_pictures_is_refused(tmp_path, file: str, says: str) -> None:
    (tmp_path.parent / "secret.jpg").touch()
    for rows in ([row(file)], [row(), row(file, id=2)]):
        root = annotated(tmp_path, rows)
        with pytest.raises(DatasetError, match=rf"entry {len(rows) - 1}: its image .*{says}"):
            read_dataset(root)


@given(st.text(alphabet="ab./\\:\0\n~ \u00e9", max_size=12))
def test_no_name_that_is_taken_leaves_its_folder(name: str) -> None:
    folder = Path("/pictures")
    try:
        plain = checked_path(name)
    except BadField:
        return
    inside = folder / plain
    assert inside.parts[:2] == folder.parts
    assert inside == folder / name
    assert ".." not in inside.parts
    assert inside.as_posix() == f"/pictures/{plain}"


def test_a_name_that_no_disk_allows_is_only_missing(tmp_path) -> None:
    with pytest.raises(DatasetError, match="first image was found at none of"):
        read_dataset(annotated(tmp_path, [row("a" * 300)]))


def test_rows_that_say_the_same_again_are_left_out_and_told(tmp_path) -> None:
    root = annotated(tmp_path, [row(), row("b.jpg", id=2), row(), row(".//a.jpg")])
    assert [entry.file for entry in entries(recognised(root))] == ["a.jpg", "b.jpg"]
    faults = faults_of(root)
    assert [fault.kind for fault in faults] == ["duplicate"] * 2
    assert "entry 0 says already; remove it" in faults[0].says


def test_rows_about_one_file_are_one_image(tmp_path) -> None:
    rows = [row(captions=["one"]), row("b.jpg"), row(captions=["two"]), row(captions=["one"])]
    root = annotated(tmp_path, rows)
    found = entries(recognised(root))
    assert [(e.number, e.file, e.captions) for e in found] == [
        (0, "a.jpg", ("one", "two")),
        (1, "b.jpg", ("a red coat",)),
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": 2}, "a.jpg is of person 2, but entry 0 of reid_raw.json says 1"),
        ({"split": "test"}, "a.jpg is of test, but entry 0 of reid_raw.json says train"),
    ],
)
def test_one_file_is_of_one_person_and_one_split(tmp_path, changes, says: str) -> None:
    root = annotated(tmp_path, [row(), row(**changes)])
    with pytest.raises(DatasetError, match=f"entry 1: {says}"):
        read_dataset(root)


def test_an_empty_caption_among_others_is_left_out_and_told(tmp_path) -> None:
    root = annotated(tmp_path, [row(captions=["", "a coat", " \t"])])
    assert [pair.caption for pair in read_dataset(root).train] == ["a coat"]
    assert [fault.kind for fault in faults_of(root)] == ["empty caption"]


def test_faults_are_collected_and_the_sound_entries_kept(tmp_path) -> None:
    rows = [row("../x.jpg"), 3, row(), row("b.jpg", id=True), row("c.jpg", captions=[])]
    faults = []
    found = entries(recognised(annotated(tmp_path, rows)), faults)
    assert [entry.number for entry in found] == [2]
    assert [fault.kind for fault in faults] == ["path", "type", "type", "keys"]
    with pytest.raises(DatasetError, match="entry 0"):
        read_dataset(tmp_path)


def many(root: Path, count: int, extra: str = "") -> Path:
    line = (
        '{"split": "train", "id": %d, "file_path": "cam_a/%d.jpg", "captions": ["a coat"]'
        + extra
        + "}"
    )
    lines = ",\n".join(line % (number // 3, number) for number in range(count))
    (root / "imgs/cam_a").mkdir(parents=True)
    (root / "imgs/cam_a/0.jpg").touch()
    (root / "reid_raw.json").write_text(f"[{lines}]")
    return root


def test_tens_of_thousands_of_entries_are_read_without_looking_for_each_file(
    tmp_path, monkeypatch
) -> None:
    root, looked = many(tmp_path, 60_000), []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: looked.append(path) or stat(path, **how))
    start = time.process_time()
    dataset = read_dataset(root)
    assert time.process_time() - start < 30
    assert len(dataset.train) + len(dataset.val) == 60_000
    assert len(looked) < 100


def test_a_long_file_is_read_a_piece_at_a_time(tmp_path) -> None:
    root = many(tmp_path, 1_000, f', "processed_tokens": {json.dumps(["word"] * 1000)}')
    assert (root / "reid_raw.json").stat().st_size > 7e6
    tracemalloc.start()
    seen = sum(1 for _ in raw_rows(root / "reid_raw.json", strict))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 1_000
    assert peak < 3e6


def test_many_captions_of_one_file_are_joined_in_one_go(tmp_path) -> None:
    rows = [row(captions=[f"caption {number}"]) for number in range(20_000)]
    start = time.process_time()
    assert len(read_dataset(annotated(tmp_path, rows)).train) == 20_000
    assert time.process_time() - start < 20
