from __future__ import annotations

import json
from pathlib import Path

import pytest

from tipr.data.readers import DatasetError, read_dataset
from tipr.data.readers.entries import Fault
from tipr.data.readers.layouts import entries, recognised

HEADER = "image,caption,person_id,camera,split\n"
SOUND = "a.jpg,a red coat,1,2,train\nb.jpg,a hat,2,3,test\n"


def table(root: Path, text: str, name: str = "people.csv", encoding: str = "utf-8") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for letter in "abcd":
        (root / f"{letter}.jpg").touch()
    (root / name).write_text(text, encoding=encoding)
    return root


def lines(*rows: dict) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


def test_a_table_is_read_beside_its_pictures(tmp_path) -> None:
    dataset = read_dataset(table(tmp_path, HEADER + SOUND))
    assert dataset.layout == "own data"
    (pair,) = dataset.train
    assert (pair.image, pair.caption, pair.person_id, pair.camera) == (
        tmp_path / "a.jpg", "a red coat", 1, "2",
    )  # fmt: skip
    assert (len(dataset.val), len(dataset.test)) == (0, 1)


def test_a_table_out_of_a_spreadsheet_is_read(tmp_path) -> None:
    text = 'Image;Caption;ID;Split\r\na.jpg;"a red, long\r\ncoat; ""new""";mary;Train\r\n'
    dataset = read_dataset(table(tmp_path, text, encoding="utf-8-sig"))
    assert [pair.caption for pair in dataset.train] == ['a red, long coat; "new"']
    assert dataset.person(0) == "mary"


def test_rows_of_one_image_are_its_captions(tmp_path) -> None:
    text = "image\tcaption\tperson\na.jpg\tone\t7\nb.jpg\tx\t7\na.jpg\ttwo\t7\n"
    root = table(tmp_path, text, "people.tsv")
    found = entries(recognised(root))
    assert [(entry.file, entry.captions) for entry in found] == [
        ("a.jpg", ("one", "two")),
        ("b.jpg", ("x",)),
    ]


def test_lines_of_json_are_read(tmp_path) -> None:
    text = lines(
        {"image": "a.jpg", "captions": ["one", "two"], "id": "p-1", "split": "train", "camera": 4},
        {"image": "b.jpg", "caption": "three", "person": "p-2", "split": "validation"},
    )
    dataset = read_dataset(table(tmp_path, text.replace("\n", "\n\n"), "people.jsonl"))
    assert [pair.caption for pair in dataset.train] == ["one", "two"]
    assert dataset.train[0].camera == "4"
    assert [dataset.person(pair.person_id) for pair in dataset.val] == ["p-2"]


def test_a_list_of_ones_own_is_read_and_pictures_may_lie_below(tmp_path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "me.jpg").touch()
    row = {"image": "me.jpg", "caption": "x", "person_id": 1, "split": "train"}
    dataset = read_dataset(table(tmp_path, json.dumps([row]), "mine.json"))
    assert dataset.train[0].image == tmp_path / "images" / "me.jpg"


def test_one_of_several_tables_is_passed_itself(tmp_path) -> None:
    table(tmp_path, HEADER + "c.jpg,x,1,,test\n", "other.csv")
    root = table(tmp_path, HEADER + SOUND)
    with pytest.raises(DatasetError, match=r"other\.csv, people\.csv; pass the one"):
        read_dataset(root)
    dataset = read_dataset(root / "other.csv")
    assert (dataset.name, len(dataset.test)) == ("other", 1)


def test_tables_named_after_splits_are_read_together(tmp_path) -> None:
    header = "image,caption,person_id\n"
    for number, split in enumerate(("train", "val", "test")):
        table(tmp_path, f"{header}{'abc'[number]}.jpg,x,{number}\n", f"{split}.csv")
    dataset = read_dataset(tmp_path)
    assert [dataset.split(s)[0].image.stem for s in ("train", "val", "test")] == ["a", "b", "c"]
    table(tmp_path, HEADER + "a.jpg,x,0,,test\n", "train.csv")
    with pytest.raises(DatasetError, match="its split is test, but its file is of train"):
        read_dataset(tmp_path)


def dealt_people(root: Path, count: int) -> list[set[str]]:
    rows = "".join(f"{n or 'a'}.jpg,x,person {n // 2}\n" for n in range(2 * count))
    dataset = read_dataset(table(root, "image,caption,person_id\n" + rows))
    return [
        {dataset.person(pair.person_id) for pair in dataset.split(split)}
        for split in ("train", "val", "test")
    ]


def test_without_splits_people_are_dealt_and_stay_where_they_are(tmp_path) -> None:
    few, many = dealt_people(tmp_path / "few", 300), dealt_people(tmp_path / "many", 600)
    assert sum(map(len, many)) == 600
    assert 450 < len(many[0]) < 510
    assert min(len(many[1]), len(many[2])) > 40
    assert all(before <= after for before, after in zip(few, many, strict=True))
    assert sorted(few[2])[:2] == ["person 121", "person 140"]  # for all time


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + SOUND + 'c.jpg,"open,3,1,train\nd.jpg,x,4,1,train\n', r"entry 2, line 4.*open\?"),
        (HEADER + SOUND + "c.jpg,a coat, a hat,3,1,train\n", "line 4: has 6 cells under 5 columns"),
        (HEADER + SOUND + "c.jpg,x,,1,train\n", "entry 2, line 4: has no person"),
        (HEADER + SOUND + "c.jpg,x,3,1,\n", "entry 2: names no split; write train, val or test"),
        (HEADER + SOUND + "c.jpg, ,3,1,train\n", "line 4: c.jpg has only empty captions"),
        (
            HEADER + '"a.jpg","two\nlines",1,,train\nb.jpg,x,-1,1,train\n',
            "entry 1, line 4: its per",
        ),
        (HEADER + SOUND + "../c.jpg,x,3,1,train\n", "line 4: its image '../c.jpg' leaves"),
        (HEADER, "holds no entries"),
        ("", "no column for the image .*; its columns are none"),
        (
            "picture,caption\na.jpg,x\n",
            r"no column for the image .* and the person .*are picture, c",
        ),
        ("image,caption,image_id,split\na.jpg,x,1,train\n", "no column for the person"),
    ],
)
def test_a_bad_table_is_an_error_in_words(tmp_path, text: str, says: str) -> None:
    with pytest.raises(DatasetError, match=rf"people\.csv.*{says}"):
        read_dataset(table(tmp_path, text))


def tabbed(root: Path, rows: str) -> list[tuple[str, str]]:
    found = entries(recognised(table(root, f"image\tcaption\tid\n{rows}", "people.tsv")))
    return [(entry.captions[0], str(entry.person)) for entry in found]


@pytest.mark.parametrize(
    ("cell", "caption"),
    [
        ('"red" coat', '"red" coat'),
        ('5" heels', '5" heels'),
        ('"open', '"open'),
        ('"a ""red"" coat"', 'a "red" coat'),
        ('"a tab\there"', "a tab here"),
        ('"two\nlines"', "two lines"),
        ('"two\r\n""red"" lines"', 'two "red" lines'),
        ('"a" and "b"', '"a" and "b"'),
        ('"""a"""', '"a"'),
        ("x" * 200_000, "x" * 200_000),
    ],
)
@pytest.mark.parametrize("after", ["", "b.jpg\ta hat\t2\n", 'b.jpg\t"blue" hat, 5" high\t2\n'])
def test_cells_between_tabs_may_begin_with_a_quotation_mark(tmp_path, cell, caption, after) -> None:
    found = tabbed(tmp_path, f"a.jpg\t{cell}\t1\n{after}")
    assert found[0] == (caption, "1")
    assert [person for _, person in found[1:]] == ["2"] * bool(after)


def test_a_quotation_mark_is_not_looked_for_beyond_a_hundred_lines(tmp_path) -> None:
    rest = "".join(f"{n or 'a'}.jpg\ttext {n}\t{n}\n" for n in range(300))
    found = tabbed(tmp_path, f'x.jpg\t"open\t7\n{rest}z.jpg\tends"\t8\n')
    assert [found[0], found[300], len(found)] == [('"open', "7"), ("text 299", "299"), 302]


def test_lines_are_counted_in_tables_with_tabs(tmp_path) -> None:
    rows = 'a.jpg\t"open\t1\nb.jpg\t"two\nlines"\t2\n\nc.jpg\tx\n'
    root = table(tmp_path, f"image\tcaption\tid\n{rows}", "people.tsv")
    with pytest.raises(DatasetError, match=r"people\.tsv, entry 2, line 6: has 2 cells under 3"):
        read_dataset(root)


def test_the_longest_cell_of_a_table_is_told(tmp_path) -> None:
    root = table(tmp_path, HEADER + f"a.jpg,{'x' * 140_000},1,,train\n")
    with pytest.raises(DatasetError, match=r"entry 0, line 2: has a cell of more than 131,072 ch"):
        read_dataset(root)


def test_what_stands_before_an_open_quotation_mark_is_kept(tmp_path) -> None:
    faults: list[Fault] = []
    root = table(tmp_path, HEADER + SOUND + 'c.jpg,"open,3,1,train\n')
    assert len(entries(recognised(root), faults)) == 2
    assert [fault.kind for fault in faults] == ["csv"]


def test_a_table_that_is_no_utf8_says_how_to_save_it(tmp_path) -> None:
    with pytest.raises(
        DatasetError,
        match=r'people\.csv, entry 0, line 2: a caption is not UTF-8: "caf\\xe9"; save it as UTF-8',
    ):
        read_dataset(table(tmp_path, HEADER + "a.jpg,caf\u00e9,1,,train\n", encoding="cp1252"))


@pytest.mark.parametrize("line", ['{"image": ', "[1]", "[" * 100_000])
def test_a_bad_line_is_named_and_the_others_are_read(tmp_path, line: str) -> None:
    good = lines({"image": "a.jpg", "caption": "x", "person_id": 1, "split": "train"})
    root = table(tmp_path, good + line + "\n" + good.replace("a.jpg", "b.jpg"), "people.jsonl")
    with pytest.raises(
        DatasetError, match=r"people\.jsonl, entry 1, line 2: (not valid|is no obj)"
    ):
        read_dataset(root)
    assert [entry.number for entry in entries(recognised(root), [])] == [0, 2]


def test_files_that_are_no_annotations_are_refused(tmp_path) -> None:
    root = table(tmp_path, "", "people.xlsx")
    with pytest.raises(DatasetError, match=r"is no annotation; pass a folder, \.json"):
        read_dataset(root / "people.xlsx")
