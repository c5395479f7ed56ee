"""The doctor on whole folders: what it recognises, counts, and says about people and entries."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tipr.bench.cuhk import cuhk_shape
from tipr.data.check import Finding, Report, check_dataset
from tipr.data.check.published import count_hits, counted, published_set
from tipr.data.check.report import gathered
from tipr.data.readers import DatasetError
from tipr.data.readers.entries import Entry

Row = dict[str, object]


def row(file: str, person: int, split: str = "train", *captions: str) -> Row:
    told = list(captions) or [f"a person seen in {file}", f"somebody else says so of {file}"]
    return {"id": person, "file_path": file, "captions": told, "split": split}


def written(root: Path, rows: Sequence[Row], annotation: str = "reid_raw.json") -> Path:
    """A dataset of these rows, each with a picture of its own colour."""
    for number, one in enumerate(rows):
        path = root / "imgs" / str(one["file_path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 16), (number % 256, number // 256, 0)).save(path)
    (root / annotation).write_text(json.dumps(rows), encoding="utf-8")
    return root


def pairs_of(people: int, folder: str = "crops") -> list[Row]:
    """Two pictures of each person; the last two people are validated and tested on."""
    split = {people - 2: "val", people - 1: "test"}
    return [row(f"{folder}/{p}_{shot}.png", p, split.get(p, "train"))
            for p in range(people) for shot in range(2)]  # fmt: skip


def found(report: Report, kind: str) -> Finding:
    (finding,) = (f for f in report.findings if f.kind == kind)
    return finding


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


@pytest.fixture(scope="module")
def small_cuhk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cuhk_shape(tmp_path_factory.mktemp("shape") / "CUHK-PEDES", scale=0.002)


def test_a_whole_set_is_clean(tmp_path) -> None:
    report = check_dataset(written(tmp_path / "mine", pairs_of(5)))
    assert report.clean and report.findings == ()
    assert [(c.split, c.what, c.found) for c in report.counts[-3:]] == [
        ("all", "images", 10), ("all", "captions", 20), ("all", "people", 5),
    ]  # fmt: skip
    assert "clean: nothing found" in str(report)


def test_every_published_layout_is_named(tmp_path) -> None:
    made = {
        "CUHK-PEDES": (row("cam_a/1.png", 1), "reid_raw.json"),
        "ICFG-PEDES": (row("train/0001/1.png", 1), "ICFG-PEDES.json"),
        "RSTPReid": ({**row("0000_c1_0001.jpg", 1), "img_path": "0000_c1_0001.jpg"},
                     "data_captions.json"),
    }  # fmt: skip
    for name, (one, annotation) in made.items():
        report = check_dataset(written(tmp_path / name, [one], annotation))
        assert report.layout == name and f": {name} (" in str(report).splitlines()[0]
        assert "http" in report.ask


def test_an_unknown_folder_is_refused_in_the_readers_words(tmp_path) -> None:
    with pytest.raises(DatasetError, match=str(tmp_path)):
        check_dataset(tmp_path)


def shaped(counts: dict[str, tuple[int, int, int]], name: str) -> list[Entry]:
    """Entries with so many images, captions and people in each split."""
    rows: list[Entry] = []
    for split, (images, captions, people) in counts.items():
        extra = captions - images * (captions // images)
        rows += [
            Entry(number=len(rows) + i, file=name.format(i), person=f"{split} {i % people}",
                  captions=("x",) * (captions // images + (i < extra)), split=split)  # ty: ignore
            for i in range(images)
        ]  # fmt: skip
    return rows


CUHK = {"train": (34_054, 68_126, 11_003), "val": (3_078, 6_158, 1_000), "test": (3_074, 6_156, 1_000)}  # noqa: E501 # fmt: skip
SETS = [
    ("CUHK-PEDES", "cam_a/{}.bmp", CUHK),
    ("ICFG-PEDES", "train/{}.jpg", {"train": (34_674, 34_674, 3_102), "test": (19_848, 19_848, 1_000)}),  # noqa: E501
    ("RSTPReid", "0000_c5_{:04d}.jpg", {"train": (18_505, 37_010, 3_701), "val": (1_000, 2_000, 200), "test": (1_000, 2_000, 200)}),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("name", "files", "counts"), SETS)
def test_the_released_counts_show_no_difference_and_one_image_less_does(name, files, counts):
    rows = shaped(counts, files if name != "RSTPReid" else "0000_c5_0001.jpg")
    known = published_set(name, rows)
    assert known is not None and not list(count_hits(counted(rows, known)))
    (less, *_), told = rows, [hit.example for hit in count_hits(counted(rows[1:], known))]
    images, captions = counts["train"][0] - 1, counts["train"][1] - len(less.captions)
    assert told[0] == f"{images:,} images in train; published {images + 1:,} (-1)"
    assert told[1].startswith(f"{captions:,} captions in train;")


def test_a_dropped_split_counts_as_missing_all_of_it() -> None:
    rows = shaped({"train": CUHK["train"]}, "cam_a/{}.bmp")
    told = [hit.example for hit in count_hits(counted(rows, published_set("CUHK-PEDES", rows)))]
    assert "0 images in val; published 3,078 (-3,078)" in told


def test_two_captions_for_each_image_differ_from_the_release_by_18() -> None:
    rows = shaped({**CUHK, "train": (34_054, 68_108, 11_003)}, "cam_a/{}.bmp")
    (train, *_) = gathered(count_hits(counted(rows, published_set("CUHK-PEDES", rows))))
    assert (train.severity, train.examples[0]) == (
        "problem", "68,108 captions in train; published 68,126 (-18)",
    )  # fmt: skip


def test_other_pictures_in_a_public_layout_are_not_compared() -> None:
    rows = [Entry(i, f"people/{i}.bmp", ("x",), i, "train") for i in range(4)]
    assert published_set("CUHK-PEDES", rows) is None
    assert published_set("own data", shaped(CUHK, "cam_a/{}.bmp")) is None


def test_a_small_set_in_a_public_layout_is_only_noted(small_cuhk) -> None:
    report = check_dataset(small_cuhk)
    assert report.clean and "taken for another set" in report.compared
    assert found(report, "smaller than the published set").severity == "note"
    assert "people with one image" in kinds(report)


def test_a_missing_folder_is_named_with_its_images_and_where_to_ask(small_cuhk, tmp_path) -> None:
    root = shutil.copytree(small_cuhk, tmp_path / "copy")
    annotated = json.loads((root / "reid_raw.json").read_text())
    number = sum(one["file_path"].startswith("Market/") for one in annotated)
    shutil.rmtree(root / "imgs" / "Market")
    report = check_dataset(root)
    assert found(report, "missing folders").examples == (f"Market: {number:,} annotated images",)
    assert "missing images" not in kinds(report), "its images are not told a second time"
    assert "ShuangLI59" in str(report) and not report.clean


def test_missing_images_are_told_by_folder(tmp_path) -> None:
    root = written(tmp_path / "mine", [*pairs_of(6, "a"), *pairs_of(6, "b")])
    for name in ("a/3_0.png", "b/0_1.png", "b/1_0.png"):
        (root / "imgs" / name).unlink()
    finding = found(check_dataset(root), "missing images")
    assert finding.count == 3
    assert finding.examples == ("b: 2 of 12, as b/0_1.png", "a: 1 of 12, as a/3_0.png")


def test_images_that_no_entry_names_are_noted(tmp_path) -> None:
    root = written(tmp_path / "mine", pairs_of(4))
    shutil.copy(root / "imgs/crops/0_0.png", root / "imgs/crops/new.JPG")
    (root / "imgs/crops/Thumbs.db").write_bytes(b"nothing")
    odd = os.fsencode(root / "imgs/crops") + b"/caf\xe9.png"
    shutil.copy(os.fsencode(root / "imgs/crops/0_0.png"), odd)
    report = check_dataset(root)
    assert report.clean
    assert found(report, "images without an entry").examples == (
        "crops/caf\udce9.png", "crops/new.JPG",
    )  # fmt: skip
    assert json.loads(json.dumps(report.to_json()))["findings"][0]["count"] == 2


def test_people_in_two_splits_are_named(tmp_path) -> None:
    rows = [*pairs_of(5), row("crops/again.png", 0, "test")]
    finding = found(check_dataset(written(tmp_path / "mine", rows)), "people in two splits")
    assert (finding.count, finding.severity) == (1, "problem")
    assert finding.examples == ("person 0: test (crops/again.png), train (crops/0_0.png)",)


def test_a_person_with_one_image_is_noted(tmp_path) -> None:
    report = check_dataset(written(tmp_path / "mine", [*pairs_of(5), row("crops/one.png", 9)]))
    assert report.clean
    assert found(report, "people with one image").examples == ("person 9: crops/one.png",)


def test_entries_without_a_split_are_noted(tmp_path) -> None:
    rows = [{k: v for k, v in one.items() if k != "split"} for one in pairs_of(5)]
    report = check_dataset(written(tmp_path / "mine", rows, "people.json"))
    finding = found(report, "entries without a split")
    assert (finding.severity, finding.count) == ("note", 10)
    assert [c.split for c in report.counts] == ["all"] * 3


@pytest.mark.parametrize("name", ["DukeMTMC-reID/1.png", "sub/0001_c2_f0046182.png"])
def test_withdrawn_data_are_refused(name, tmp_path) -> None:
    finding = found(
        check_dataset(written(tmp_path, [*pairs_of(5), row(name, 0)])), "withdrawn data"
    )
    assert (finding.severity, finding.examples) == ("problem", (name,))


def test_a_folder_named_after_withdrawn_data_is_refused(tmp_path) -> None:
    report = check_dataset(written(tmp_path / "dukemtmc", pairs_of(5)))
    assert not report.clean and "consent" in str(report)


def test_what_the_reader_cannot_use_is_a_problem_with_its_place(tmp_path) -> None:
    broken = [
        {**row("crops/x.png", 3), "captions": 7},
        {**row("crops/y.png", 3), "file_path": "../y"},
    ]
    root = written(tmp_path / "mine", pairs_of(5))
    annotation = root / "reid_raw.json"
    annotation.write_text(json.dumps([*json.loads(annotation.read_text()), *broken]))
    report = check_dataset(root)
    (typed,) = found(report, "values of a wrong type").examples
    assert "reid_raw.json, entry 10" in typed and "list of sentences" in typed
    assert ".." in found(report, "file names that cannot be used").examples[0]
    assert report.counts[-3].found == 10


def test_one_file_of_two_people_is_a_problem_and_a_repeated_entry_a_note(tmp_path) -> None:
    rows = pairs_of(5)
    report = check_dataset(written(tmp_path / "mine", [*rows, rows[0], {**rows[2], "id": 0}]))
    assert found(report, "one file, two people").severity == "problem"
    assert found(report, "entries given twice").severity == "note"


def test_an_empty_caption_is_a_problem(tmp_path) -> None:
    rows = [*pairs_of(5), row("crops/e.png", 0, "train", "a man in red", "  \n ")]
    finding = found(check_dataset(written(tmp_path / "mine", rows)), "empty captions")
    assert (finding.severity, finding.count) == ("problem", 1)
    assert "crops/e.png" in finding.examples[0]


def test_captions_are_measured_with_clips_own_vocabulary(tmp_path) -> None:
    long = " ".join(["red"] * 75 + ["umbrella"])
    rows = [*pairs_of(5), row("crops/l.png", 0, "train", long, " ".join(["red"] * 75))]
    finding = found(check_dataset(written(tmp_path / "mine", rows)), "over-long captions")
    assert finding.examples == ('crops/l.png, caption 1: read up to "umbrella", which is lost',)


def test_a_finding_shows_five_examples_and_counts_all(tmp_path) -> None:
    rows = [row(f"crops/{i}.png", i) for i in range(9)]
    report = check_dataset(written(tmp_path / "mine", rows))
    finding = found(report, "people with one image")
    assert (finding.count, len(finding.examples)) == (9, 5)
    assert "note: people with one image (9)" in str(report) and "    ...\n" in str(report)


def test_progress_reaches_the_number_of_images(tmp_path) -> None:
    told: list[tuple[int, int]] = []
    check_dataset(written(tmp_path / "mine", pairs_of(5)), False, lambda *at: told.append(at))
    assert told[-1] == (10, 10)


def test_pictures_inside_archives_are_looked_at(tmp_path) -> None:
    good = io.BytesIO()
    Image.new("RGB", (8, 16)).save(good, "PNG")
    members = {"1.png": good.getvalue(), "2.png": b"To whom it may concern"}
    with tarfile.open(tmp_path / "people-0.tar", "w") as archive:
        for name, content in members.items():
            facts = json.dumps({"caption": f"person {name}", "person_id": int(name[0])}).encode()
            for file, part in ((name, content), (name.replace("png", "json"), facts)):
                member = tarfile.TarInfo(file)
                member.size = len(part)
                archive.addfile(member, io.BytesIO(part))
    for deep in (False, True):
        finding = found(check_dataset(tmp_path, deep), "unreadable images")
        assert finding.count == 1
        assert finding.examples[0].startswith("people-0.tar/2.png: not a picture")


def test_an_annotation_without_pictures_names_the_folders(small_cuhk, tmp_path) -> None:
    shutil.copy(small_cuhk / "reid_raw.json", tmp_path)
    report = check_dataset(tmp_path)
    missing = found(report, "missing folders")
    assert missing.count == 7 and not report.clean
    assert report.images == tmp_path / "imgs"
