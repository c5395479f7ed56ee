"""Which folder an annotation is about, and folders that may not be entered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from reader_cases import annotated, picture, row

from tipr.data.check import check_dataset
from tipr.data.images import image_files
from tipr.data.readers import DatasetError, read_dataset


def derived(root: Path, below: str, name: str, rows: list[dict], folder: str) -> Path:
    for one in rows:
        picture(root / folder / one["file_path"])
    (root / below).mkdir(parents=True, exist_ok=True)
    (root / below / name).write_text(json.dumps(rows))
    return root / below / name


@pytest.mark.parametrize(
    ("below", "name", "folder"),
    [
        ("data/finetune", "cuhk_train.json", "images/CUHK-PEDES/imgs"),
        ("finetune", "cuhk_train.json", "images/CUHK-PEDES/imgs"),
        ("processed_data", "train.json", "imgs"),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_a_list_derived_from_a_set_is_read_by_its_name_and_by_its_folder(
    tmp_path, monkeypatch, below: str, name: str, folder: str, inside: bool
) -> None:
    file = derived(tmp_path, below, name, [row("cam_a/0.png")], folder)
    monkeypatch.chdir(file.parent if inside else tmp_path)
    paths = [Path(name), Path()] if inside else [Path(below, name), Path(below)]
    for path in (file, file.parent, *paths):
        dataset = read_dataset(path)
        assert (dataset.layout, len(dataset.train)) == ("CUHK-PEDES", 1)
        assert dataset.train[0].image.is_file()
        report = check_dataset(path)
        assert "missing images" not in {finding.kind for finding in report.findings}


def test_a_folder_of_that_name_with_pictures_in_it_is_a_dataset_itself(tmp_path) -> None:
    root = annotated(tmp_path / "processed_data", [row()], "train.json")
    for path in (root, root / "train.json"):
        assert read_dataset(path).train[0].image == root / "imgs/a.jpg"


def test_of_several_lists_the_folders_that_are_there_are_offered(tmp_path) -> None:
    for prefix, folder in (("cuhk", "CUHK-PEDES"), ("rstp", "RSTPReid")):
        derived(tmp_path, "data/finetune", f"{prefix}_train.json", [], "")
        (tmp_path / "images" / folder).mkdir(parents=True)
    for path in (tmp_path, tmp_path / "data/finetune"):
        with pytest.raises(DatasetError) as error:
            read_dataset(path)
        ways = str(error.value).rpartition("; pass ")[2].split(" or ")
        assert [Path(way).relative_to(tmp_path / "images").name for way in ways] == [
            "CUHK-PEDES", "RSTPReid",
        ]  # fmt: skip
    for folder in (tmp_path / "images").iterdir():
        folder.rmdir()
    with pytest.raises(DatasetError, match=r"put the pictures into \S+/images/CUHK-PEDES and "):
        read_dataset(tmp_path)


def test_hidden_files_are_no_annotations(tmp_path) -> None:
    root = annotated(tmp_path, [row()])
    for name in ("._data_captions.json", ".data_captions.json", "._reid_raw.json", "._x.tar"):
        (root / name).write_bytes(b"\0\5\26\7")
    (root / "._ICFG-PEDES.json").symlink_to(root / "reid_raw.json")
    assert read_dataset(root).layout == "CUHK-PEDES"
    (root / "reid_raw.json").unlink()
    with pytest.raises(DatasetError, match="is it a dataset folder"):
        read_dataset(root)


def test_only_cuhk_without_splits_is_told_of_the_file_that_has_them(tmp_path) -> None:
    cuhk = annotated(tmp_path / "c", [row(split=...)])
    with pytest.raises(DatasetError, match=r"others than those of the benchmark; get reid_raw"):
        read_dataset(cuhk)
    rstp = annotated(tmp_path / "r", [row(split=...)], "data_captions.json")
    with pytest.raises(DatasetError, match=r"data_captions\.json: has no splits at all$"):
        read_dataset(rstp)


@pytest.fixture
def locked(monkeypatch) -> list[Path]:
    """Folders that may not be entered, whoever runs the tests."""
    folders: list[Path] = []

    def checked(path: object) -> None:
        inside = Path(os.fsdecode(path)).parents if isinstance(path, str | bytes | Path) else ()
        if any(folder in inside for folder in folders):
            raise PermissionError(13, "Permission denied", os.fspath(path))  # ty: ignore

    for name in ("stat", "scandir", "listdir"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda path=".", *a, real=real, **k: (checked(path), real(path, *a, **k))[1]
        )
    return folders


@pytest.mark.parametrize("rows", [[row()], [row("cam_a/a.jpg")], [row("Market/x.jpg"), row()]])
def test_a_locked_folder_of_pictures_is_told(tmp_path, locked, rows) -> None:
    root = annotated(tmp_path, rows)
    for one in rows:
        picture(root / "imgs" / one["file_path"])
    locked.append(root / "imgs")
    with pytest.raises(DatasetError) as error:
        read_dataset(root)
    says = f"{root}/imgs cannot be read: permission denied; allow it: chmod -R u+rX {root}/imgs"
    assert str(error.value) == says
    report = check_dataset(root)
    kinds = {finding.kind: finding for finding in report.findings}
    assert "permission denied" in kinds["unreadable images"].examples[0]
    assert kinds["unreadable images"].count == len(rows)
    assert not {"missing folders", "missing images"} & kinds.keys()


def test_a_locked_dataset_is_told(tmp_path, locked) -> None:
    root = annotated(tmp_path / "in" / "set", [row()])
    locked.append(tmp_path / "in")
    for examined in (read_dataset, check_dataset):
        with pytest.raises(DatasetError, match=r"set cannot be read: permission denied; allow it"):
            examined(root)


def test_files_that_may_not_be_looked_at_are_listed(tmp_path, monkeypatch) -> None:
    path = picture(tmp_path / "in" / "a.png")

    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)  # a folder may be listed and yet not entered
    assert image_files(tmp_path) == [path]
