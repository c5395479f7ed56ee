from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tipr.data.pairs import contiguous
from tipr.data.readers import DatasetError, read_dataset


def folder(root: Path, annotation: str, key: str, images: str = "imgs") -> Path:
    rows = []
    for person, split in enumerate(("train", "train", "val", "test")):
        name = f"{split}/{person}.jpg"
        (root / images / split).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 16), (person * 50, 0, 0)).save(root / images / name)
        rows.append({"id": 10 * person, key: name, "captions": ["one", "two"], "split": split})
    (root / annotation).write_text(json.dumps(rows))
    return root


@pytest.mark.parametrize(
    ("annotation", "key", "images"),
    [
        ("reid_raw.json", "file_path", "imgs"),
        ("reid_raw.json", "file_path", "images"),
        ("data_captions.json", "img_path", "imgs"),
        ("ICFG-PEDES.json", "file_path", "imgs"),
    ],
)
def test_published_layouts_are_read(tmp_path, annotation: str, key: str, images: str) -> None:
    dataset = read_dataset(folder(tmp_path, annotation, key, images))
    assert [len(dataset.split(s)) for s in ("train", "val", "test")] == [4, 2, 2]
    assert dataset.test[0].image.is_file()
    assert {p.image_id for p in dataset.train} == {0, 1}


def test_training_ids_are_made_contiguous(tmp_path) -> None:
    pairs, persons = contiguous(read_dataset(folder(tmp_path, "reid_raw.json", "file_path")).train)
    assert persons == 2
    assert [p.person_id for p in pairs] == [0, 0, 1, 1]


def test_a_missing_folder_says_how_to_get_one(tmp_path) -> None:
    with pytest.raises(DatasetError, match="tipr data synth"):
        read_dataset(tmp_path / "nowhere")


def test_a_folder_without_annotation_is_named(tmp_path) -> None:
    with pytest.raises(DatasetError, match=r"reid_raw\.json"):
        read_dataset(tmp_path)


def test_half_a_file_is_an_error_in_words(tmp_path) -> None:
    (tmp_path / "reid_raw.json").write_text('[{"id": 1,')
    with pytest.raises(DatasetError, match="not valid JSON"):
        read_dataset(tmp_path)


def test_missing_images_are_named(tmp_path) -> None:
    row = {"id": 1, "file_path": "a.jpg", "captions": ["x"], "split": "test"}
    (tmp_path / "reid_raw.json").write_text(json.dumps([row]))
    with pytest.raises(DatasetError, match=r"a\.jpg"):
        read_dataset(tmp_path)


def test_an_unknown_split_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="train, val or test"):
        read_dataset(folder(tmp_path, "reid_raw.json", "file_path")).split("dev")


def test_a_person_in_two_splits_is_refused(tmp_path) -> None:
    root = folder(tmp_path, "reid_raw.json", "file_path")
    rows = json.loads((root / "reid_raw.json").read_text())
    rows[0]["id"] = rows[3]["id"]
    (root / "reid_raw.json").write_text(json.dumps(rows))
    with pytest.raises(DatasetError, match="1 people stand in both train and test"):
        read_dataset(root)
