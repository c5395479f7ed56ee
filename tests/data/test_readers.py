from __future__ import annotations

import json
from pathlib import Path

import pytest
from reader_cases import annotated, folder, picture, row

from tipr.data.pairs import contiguous
from tipr.data.readers import DatasetError, read_dataset
from tipr.data.readers.layouts import recognised

CUHK_FILE = "CUHK01/0363004.png"


@pytest.mark.parametrize(
    ("annotation", "key", "images"),
    [
        ("reid_raw.json", "file_path", "imgs"),
        ("reid_raw.json", "file_path", "images"),
        ("data_captions.json", "img_path", "imgs"),
        ("ICFG-PEDES.json", "file_path", "imgs"),
        ("ICFG-PEDES.json", "file_path", "ICFG_PEDES"),
        ("ICFG_PEDES.json", "file_path", "imgs"),
        ("icfg-pdes.JSON", "file_path", "imgs"),
    ],
)
def test_published_layouts_are_read(tmp_path, annotation: str, key: str, images: str) -> None:
    dataset = read_dataset(folder(tmp_path, annotation, key, images))
    assert [len(dataset.split(s)) for s in ("train", "val", "test")] == [4, 2, 2]
    assert dataset.test[0].image.is_file()
    assert {p.image_id for p in dataset.train} == {0, 1}
    assert not dataset.carved_val
    names = {"r": "CUHK-PEDES", "d": "RSTPReid", "i": "ICFG-PEDES"}
    assert dataset.layout == names[annotation[0].lower()]


def test_cuhk_as_shipped_keeps_ids_from_1_and_every_caption(tmp_path) -> None:
    rows = [
        row(CUHK_FILE, id=1, captions=["A  man\nwalks. ", "He runs."], processed_tokens=[["a"]]),
        row("train_query/p11600_s14885.jpg", id=11003, captions=["Same.", "Same.", "c"] * 3),
        row("Market/0002_c1s1_000451_03.jpg", id=2, split="val"),
        row("cam_a/000.png", id=3, split="test"),
    ]
    for entry in rows:
        picture(tmp_path / "imgs" / entry["file_path"])
    (tmp_path / "reid_raw.json").write_text(json.dumps(rows))
    dataset = read_dataset(tmp_path)
    assert [pair.caption for pair in dataset.train[:2]] == ["A man walks.", "He runs."]
    assert len(dataset.train) == 2 + 9
    assert {pair.person_id for pair in dataset.train} == {1, 11003}
    assert dataset.person(11003) == "11003"
    assert dataset.val[0].camera == "1"


def test_the_list_without_splits_is_refused_and_the_right_file_is_named(tmp_path) -> None:
    root = annotated(tmp_path, [row(split=...)], "caption_all.json")
    for path in (root, root / "caption_all.json"):
        with pytest.raises(DatasetError, match=r"no splits.*ids are others.*get reid_raw\.json"):
            read_dataset(path)
    (root / "caption_all.json").rename(root / "reid_raw.json")
    with pytest.raises(DatasetError, match=r"no splits.*get reid_raw\.json"):
        read_dataset(root)


def test_beside_the_list_without_splits_the_right_one_is_read(tmp_path) -> None:
    annotated(tmp_path, [row(split=...)], "caption_all.json")
    assert len(read_dataset(annotated(tmp_path, [row()])).train) == 1


def test_the_folders_of_icfg_are_not_its_splits_and_cameras_stand_in_its_names(tmp_path) -> None:
    file = "test/0000/0000_000_05_0303morning_0008_0.jpg"
    picture(tmp_path / "imgs" / file)
    other = row("train/0001/0001_000_12_0303noon_0008_0.jpg", id=2, split="test")
    annotated(tmp_path, [row(file, id=1), other], "ICFG-PEDES.json")
    dataset = read_dataset(tmp_path)
    assert [pair.image.parts[-3] for pair in dataset.train] == ["test"]
    assert [pair.camera for pair in dataset.train + dataset.test] == ["5", "12"]


def test_cameras_of_rstpreid_stand_in_its_names(tmp_path) -> None:
    picture(tmp_path / "imgs/0000_c14_0022.jpg")
    rows = [row(file_path=..., img_path="0000_c14_0022.jpg", id=0)]
    annotated(tmp_path, rows, "data_captions.json")
    assert [pair.camera for pair in read_dataset(tmp_path).train] == ["14"]


def test_ufine_is_known_by_its_folder(tmp_path) -> None:
    root = tmp_path / "UFine6926"
    picture(root / "images/1.jpg")
    rows = [row("images/1.jpg", captions=["long one", "long two"])]
    (root / "annotation.json").write_text(json.dumps(rows))
    assert recognised(root).name == "UFine6926"
    assert len(read_dataset(root).train) == 2


def test_rendered_people_are_not_taken_for_the_set_whose_layout_they_have(tmp_path) -> None:
    root = annotated(tmp_path, [row()])
    for name in ("dataset.json", "identities.jsonl", "annotations.jsonl"):
        (root / name).touch()
    assert read_dataset(root).layout == "rendered people"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("cam_a/000.png", "CUHK-PEDES"),
        ("train/0000/0000_000_05_0303morning_0008_0.jpg", "ICFG-PEDES"),
        ("0000_c14_0022.jpg", "RSTPReid"),
        ("me.jpg", "own data"),
    ],
)
def test_what_rasa_makes_of_a_set_is_told_by_its_pictures(tmp_path, file: str, name: str) -> None:
    picture(tmp_path / "imgs" / file)
    parts = {"train": [row(file)], "val": [], "test": [row("x.jpg", id=2, split="test")]}
    (tmp_path / "processed_data").mkdir()
    for split, rows in parts.items():
        (tmp_path / "processed_data" / f"{split}.json").write_text(json.dumps(rows))
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, len(dataset.train), len(dataset.test)) == (name, 1, 1)
    assert dataset.train[0].image.is_file()


def aptm(root: Path, name: str, prefix: str, file: str, written: str) -> None:
    """As APTM has it: a row for each caption in train, a row for each image in test."""
    picture(root / "images" / name / file)
    lists = root / "data" / "finetune"
    lists.mkdir(parents=True, exist_ok=True)
    train = [{"image": written, "caption": text, "image_id": 5} for text in ("one", "two")]
    test = [{"image": "t.jpg", "caption": ["three", "four"], "image_id": 6}]
    (lists / f"{prefix}_train.json").write_text(json.dumps(train))
    (lists / f"{prefix}_test.json").write_text(json.dumps(test))


@pytest.mark.parametrize(
    ("name", "prefix", "file", "written"),
    [
        ("CUHK-PEDES", "cuhk", "imgs/cam_a/0.png", "CUHK-PEDES/imgs/cam_a/0.png"),
        ("CUHK-PEDES", "cuhk", "imgs/cam_a/0.png", "imgs/cam_a/0.png"),
        ("CUHK-PEDES", "cuhk", "imgs/cam_a/0.png", "cam_a/0.png"),
        ("ICFG-PEDES", "icfg", "train/0000/0.jpg", "train/0000/0.jpg"),
        ("RSTPReid", "rstp", "0000_c14_0022.jpg", "0000_c14_0022.jpg"),
        ("RSTPReid", "rstp", "0000_c14_0022.jpg", "RSTPReid/0000_c14_0022.jpg"),
    ],
)
def test_what_aptm_makes_of_a_set_is_read(
    tmp_path, name: str, prefix: str, file: str, written: str
) -> None:
    aptm(tmp_path, name, prefix, file, written)
    for root in (tmp_path, tmp_path / "images" / name):
        dataset = read_dataset(root)
        assert dataset.layout == name
        assert [pair.caption for pair in dataset.train] == ["one", "two"]
        assert {pair.image_id for pair in dataset.train} == {0}
        assert dataset.train[0].image.is_file()
        assert [pair.person_id for pair in dataset.test] == [6, 6]


def test_of_several_lists_of_aptm_one_is_asked_for(tmp_path) -> None:
    aptm(tmp_path, "CUHK-PEDES", "cuhk", "imgs/cam_a/0.png", "imgs/cam_a/0.png")
    aptm(tmp_path, "RSTPReid", "rstp", "0000_c14_0022.jpg", "0000_c14_0022.jpg")
    with pytest.raises(DatasetError, match=r"2 datasets; pass .*CUHK-PEDES or .*RSTPReid"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path / "images" / "RSTPReid").layout == "RSTPReid"


def test_ssan_keeps_the_json_beside_its_pickles(tmp_path) -> None:
    (tmp_path / "processed_data").mkdir()
    (tmp_path / "processed_data" / "train_save.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(DatasetError, match=r"train_save\.pkl; pickles can run programs.*JSON"):
        read_dataset(tmp_path)
    root = annotated(tmp_path, [row("imgs/a.jpg")], "ICFG_PEDES.json")
    assert read_dataset(root).train[0].image == tmp_path / "imgs/a.jpg"


def test_the_parent_of_datasets_lists_them(tmp_path) -> None:
    for name, file in (("CUHK-PEDES", "reid_raw.json"), ("RSTPReid", "data_captions.json")):
        annotated(tmp_path / name, [row()], file)
    (tmp_path / "notes").mkdir()
    for name in ("RSTPReid.zip", "RSTPReid.tar"):  # as they were fetched
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=r"2 datasets; pass \S+CUHK-PEDES or \S+RSTPReid$"):
        read_dataset(tmp_path)


def test_two_annotations_are_not_chosen_between(tmp_path) -> None:
    annotated(tmp_path, [row(id=8)], "data_captions.json")
    root = annotated(tmp_path, [row()])
    with pytest.raises(DatasetError, match=r"data_captions\.json, reid_raw\.json; pass the one"):
        read_dataset(root)
    assert read_dataset(root / "data_captions.json").train[0].person_id == 8


def test_a_set_without_validation_gets_one_of_other_people(tmp_path) -> None:
    rows = [row(id=999, split="test")]
    rows += [row(f"{i}.jpg", id=i // 2, split="train") for i in range(400)]
    dataset = read_dataset(annotated(tmp_path, rows, "ICFG-PEDES.json"))
    assert dataset.carved_val
    people = [{pair.person_id for pair in dataset.split(s)} for s in ("train", "val", "test")]
    assert sum(map(len, people)) == 201
    assert not people[0] & people[1]
    assert 10 <= len(people[1]) <= 30
    assert people[2] == {999}
    assert sorted(people[1])[:3] == [12, 15, 17]  # the same on every machine, for all time


def test_at_least_one_person_validates_and_one_trains(tmp_path) -> None:
    two = read_dataset(annotated(tmp_path / "2", [row(id=0), row("b.jpg", id=1)]))
    assert (len(two.train), len(two.val), two.carved_val) == (1, 1, True)
    one = read_dataset(annotated(tmp_path / "1", [row(id=0), row("b.jpg", id=0)]))
    assert (len(one.train), len(one.val), one.carved_val) == (2, 0, False)


def test_training_ids_are_made_contiguous(tmp_path) -> None:
    pairs, persons = contiguous(read_dataset(folder(tmp_path, "reid_raw.json", "file_path")).train)
    assert persons == 2
    assert [p.person_id for p in pairs] == [0, 0, 1, 1]


def test_people_with_names_are_numbered_and_keep_them(tmp_path) -> None:
    people = ["mary", "7", 7, "007"]
    rows = [row(f"{i}.jpg", id=who, split="test") for i, who in enumerate(people)]
    dataset = read_dataset(annotated(tmp_path, [*rows, row(id="mary", split="test")]))
    assert [pair.person_id for pair in dataset.test] == [0, 1, 1, 2, 0]
    assert [dataset.person(number) for number in range(3)] == ["mary", "7", "007"]


def test_ids_in_quotation_marks_are_numbers(tmp_path) -> None:
    dataset = read_dataset(annotated(tmp_path, [row(id="7", split="test")]))
    assert dataset.test[0].person_id == 7
    assert not dataset.person_names


def test_a_missing_folder_says_how_to_get_one(tmp_path) -> None:
    with pytest.raises(DatasetError, match="tipr data synth"):
        read_dataset(tmp_path / "nowhere")


def test_a_folder_without_annotation_is_named(tmp_path) -> None:
    with pytest.raises(DatasetError, match=r"reid_raw\.json"):
        read_dataset(tmp_path)


def test_missing_images_are_named(tmp_path) -> None:
    (tmp_path / "reid_raw.json").write_text(json.dumps([row("cam_a/none.jpg")]))
    with pytest.raises(DatasetError, match=r"imgs/cam_a/none\.jpg, .*unpack the images"):
        read_dataset(tmp_path)


def test_one_missing_folder_of_pictures_is_not_the_readers_business(tmp_path) -> None:
    rows = [row(f"CUHK03/{i}.jpg", id=i) for i in range(50)] + [row("a.jpg", id=99)]
    assert len(read_dataset(annotated(tmp_path, rows)).train) > 40


def test_an_unknown_split_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="train, val or test"):
        read_dataset(folder(tmp_path, "reid_raw.json", "file_path")).split("dev")


def test_a_person_in_two_splits_is_refused(tmp_path) -> None:
    root = folder(tmp_path, "reid_raw.json", "file_path")
    rows = json.loads((root / "reid_raw.json").read_text())
    rows[0]["id"] = rows[3]["id"]
    (root / "reid_raw.json").write_text(json.dumps(rows))
    both = r"train in entry 0 of reid_raw\.json \(train/0\.jpg\), test in entry 3 of"
    with pytest.raises(DatasetError, match=rf"1 person stands in both train and test.* 30: {both}"):
        read_dataset(root)
