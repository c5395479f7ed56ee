from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from tipr.data import shards
from tipr.data.images import UnreadableImage, open_image
from tipr.data.readers import DatasetError, read_dataset
from tipr.data.readers.entries import Fault
from tipr.data.readers.layouts import entries, recognised
from tipr.data.shards import ShardError, index, member_bytes, shard_of

RED = (200, 10, 10)


def picture(colour: tuple[int, int, int] = RED, size: tuple[int, int] = (6, 12)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def shard(path: Path, members: Mapping[str, bytes | str | dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, contents in members.items():
            if isinstance(contents, dict):
                contents = json.dumps(contents)
            data = contents.encode() if isinstance(contents, str) else contents
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return path


def person(number: int | str, **more) -> dict:
    return {"person_id": number, "split": "train", **more}


def faults_of(root: Path) -> list[Fault]:
    faults: list[Fault] = []
    entries(recognised(root), faults)
    return faults


def test_a_webdataset_is_read_where_it_lies(tmp_path) -> None:
    shard(
        tmp_path / "000.tar",
        {
            "a/0.png": picture(),
            "a/0.txt": "a  red\ncoat\n",
            "a/0.json": person("mary", camera=3),
            "a/1.json": person("john", captions=["one", "two"]),
            "a/1.PNG": picture((0, 0, 250)),
        },
    )
    eve = {"person_id": "eve", "split": "test"}
    shard(tmp_path / "001.tar", {"0.png": picture(), "0.txt": "x", "0.json": eve})
    before = sorted(tmp_path.rglob("*"))
    dataset = read_dataset(tmp_path)
    captions = {pair.caption: pair for pair in dataset.train + dataset.val}
    assert set(captions) == {"a red coat", "one", "two"}
    coat = captions["a red coat"]
    assert (coat.image, coat.camera) == (tmp_path / "000.tar/a/0.png", "3")
    assert dataset.person(coat.person_id) == "mary"
    assert [dataset.person(pair.person_id) for pair in dataset.test] == ["eve"]
    image = open_image(coat.image)
    assert (image.size, image.getpixel((0, 0))) == ((6, 12), RED)
    assert open_image(captions["one"].image).getpixel((0, 0)) == (0, 0, 250)
    assert sorted(tmp_path.rglob("*")) == before


def test_one_archive_alone_is_a_dataset(tmp_path) -> None:
    path = shard(tmp_path / "mine.tar", {"0.png": picture(), "0.txt": "x", "0.cls": "12"})
    dataset = read_dataset(path)
    pairs = dataset.train + dataset.val + dataset.test
    assert [(dataset.name, pair.person_id) for pair in pairs] == [("mine", 12)]
    open_image(pairs[0].image)


def test_archives_named_after_splits_are_these_splits(tmp_path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        contents = {"0.png": picture(), "0.json": {"caption": "x", "person_id": number}}
        shard(tmp_path / f"people-{split}-000001.tar", contents)
    dataset = read_dataset(tmp_path)
    assert [dataset.split(s)[0].person_id for s in ("train", "val", "test")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("members", "kind", "says"),
    [
        ({"b.png": b"", "b.txt": "x"}, "keys", "has no person; add person_id"),
        ({"b.png": b"", "b.json": person(1)}, "keys", "has no caption"),
        ({"b.txt": "x"}, "keys", "has no picture, only b.txt"),
        ({"b.png": b"", "b.json": "{"}, "json", "its .json is not valid JSON"),
        ({"b.png": b"", "b.json": "[" * 100_000}, "json", "its .json is not valid JSON"),
        ({"b.png": b"", "b.json": "3"}, "type", "its .json is no object"),
        ({"b.png": b"", "b.txt": b"\xff\xfe"}, "text", "b.txt is not UTF-8"),
        ({"b.png": b"", "b.txt": "x", "b.cls": b"\xff"}, "text", "b.cls is not UTF-8"),
        ({"b.png": b"", "b.json": '{"pid": %s}' % ("9" * 5000)}, "keys", "has no caption"),
        ({"b.png": b"", "b.json": '{"caption": "x", "pid": %s}' % ("9" * 5000)}, "type", "is inf"),
        ({"b.png": b"", "b.json": '{"id": 1, "id": 2}'}, "twice", "its .json has id twice"),
        ({"b.png": b"", "b.PNG": b""}, "twice", "has 2 pictures, b.png and b.PNG; give each"),
        ({"b.jpg": b"", "b.png": b""}, "twice", "has 2 pictures, b.jpg and b.png; give each"),
        ({"b.jpg": b"", "b.txt": "x", "b.TXT": "y"}, "twice", "2 .txt, b.txt and b.TXT"),
        ({"b.png": b"", "b.txt": b"x" * (1 << 21)}, "type", "the limit is 1048576"),
        ({"b.png": b"", "b.txt": "x", "b.json": person(True)}, "type", "its person is True"),
        ({"../b.png": b"", "../b.json": person(1)}, "path", "leaves the folder"),
        ({"/etc/b.png": b"", "/etc/b.json": person(1)}, "path", "absolute path"),
        ({"x\\b.png": b"", "x\\b.json": person(1)}, "path", "backslashes"),
    ],
)
def test_a_bad_sample_is_named(tmp_path, members, kind: str, says: str) -> None:
    sound = {"a.png": picture(), "a.txt": "x", "a.json": person(0)}
    path = shard(tmp_path / "0.tar", {**sound, **members})
    (fault,) = faults_of(tmp_path)
    assert (fault.kind, says in fault.says) == (kind, True)
    assert fault.where.startswith(f"{path}, sample 1 (")
    with pytest.raises(DatasetError) as error:
        read_dataset(tmp_path)
    assert str(error.value) == str(fault)


@pytest.mark.parametrize("name", ["../secret.png", "/secret.png", "x/../../secret.png"])
def test_a_members_name_never_leads_to_a_file_on_disk(tmp_path, name: str) -> None:
    (tmp_path / "secret.png").write_bytes(picture())
    path = shard(tmp_path / "in" / "0.tar", {"a.png": picture((1, 2, 3))})
    with pytest.raises(UnreadableImage, match=r"0\.tar has no member|cannot be opened"):
        open_image(f"{path}/{name}")


def test_the_caption_in_the_json_goes_before_the_text(tmp_path) -> None:
    members = {"0.png": picture(), "0.txt": "a text", "0.json": person(1, caption="of the json")}
    shard(tmp_path / "0.tar", members)
    assert [pair.caption for pair in read_dataset(tmp_path).train] == ["of the json"]


def test_a_folder_called_tar_is_a_folder(tmp_path) -> None:
    (tmp_path / "x.tar").mkdir()
    (tmp_path / "x.tar" / "a.png").write_bytes(picture())
    assert shard_of(tmp_path / "x.tar" / "a.png") is None
    assert open_image(tmp_path / "x.tar" / "a.png").size == (6, 12)


def test_long_names_and_accents_are_found(tmp_path) -> None:
    name = "fo\u00f6/" + "x" * 150 + ".png"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"{form}.tar"
        with tarfile.open(path, "w", format=form) as archive:
            header = tarfile.TarInfo(f"./{name}")
            header.size = 3
            archive.addfile(header, io.BytesIO(b"abc"))
        assert member_bytes(path / name) == b"abc"


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_compressed_archive_is_refused(tmp_path, suffix: str) -> None:
    mode = f"w:{suffix[1:]}"
    packed = tmp_path / "packed" / f"0.tar{suffix}"
    packed.parent.mkdir()
    with tarfile.open(packed, mode):  # ty: ignore[no-matching-overload]
        pass
    for path in (packed.parent, packed):
        with pytest.raises(DatasetError, match=r"compressed; unpack it"):
            read_dataset(path)
    lying = packed.rename(packed.parent / "0.tar")
    with pytest.raises(DatasetError, match=r"0\.tar: is compressed \(.*unpack it to \.tar first"):
        read_dataset(lying)


@pytest.mark.parametrize("kept", [0, 300, 1000, 1600])
def test_half_an_archive_is_named(tmp_path, kept: int) -> None:
    contents = {"a.png": picture(), "a.txt": "x" * 400, "a.json": person(0)}
    path = shard(tmp_path / "0.tar", contents)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DatasetError, match=r"0\.tar: (is no whole tar|breaks off).*copy it again"):
        read_dataset(tmp_path)


def test_no_archive_at_all_is_named(tmp_path) -> None:
    (tmp_path / "0.tar").write_bytes(b"this is text" * 100)
    with pytest.raises(DatasetError, match="is no whole tar archive"):
        read_dataset(tmp_path)


def test_a_size_below_nothing_does_not_hang(tmp_path) -> None:
    path = shard(tmp_path / "0.tar", {"a.png": b"x" * 600, "b.png": b"y"})
    data = bytearray(path.read_bytes())
    data[124:136] = b"\xff" * 10 + b"\xfc\x00"  # minus 1024, in base 256
    header = data[:148] + b" " * 8 + data[156:512]
    data[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(data)
    with pytest.raises(ShardError):
        index(path)


def test_a_member_that_is_there_twice_is_refused(tmp_path) -> None:
    path = shard(tmp_path / "0.tar", {"a.png": b"x", "./a.png": b"y"})
    with pytest.raises(ShardError, match=r"holds 'a\.png' twice"):
        index(path)


def test_headers_are_read_once_until_the_archive_changes(tmp_path, monkeypatch) -> None:
    path = shard(tmp_path / "0.tar", {"a.png": b"one", "b.png": b"two"})
    assert member_bytes(path / "a.png") == b"one"
    opened = tarfile.open
    monkeypatch.setattr(tarfile, "open", lambda *a, **k: pytest.fail("read again"))
    assert member_bytes(path / "b.png") == b"two"
    monkeypatch.setattr(tarfile, "open", opened)
    shard(path, {"a.png": b"other"})
    os.utime(path, ns=(1, 1))
    assert member_bytes(path / "a.png") == b"other"
    with pytest.raises(ShardError, match=r"has no member 'b\.png'"):
        member_bytes(path / "b.png")


def test_pictures_in_archives_fail_as_others_do(tmp_path) -> None:
    cut = picture(size=(300, 300))[:-40]
    path = shard(tmp_path / "0.tar", {"empty.png": b"", "cut.png": cut, "text.png": b"hello"})
    for name, says in (
        ("empty", "the file is empty"),
        ("text", "not a picture"),
        ("cut", "cut|dam"),
    ):
        with pytest.raises(UnreadableImage, match=says):
            open_image(path / f"{name}.png")
    (tmp_path / "1.tar").write_bytes(gzip.compress(b"x"))
    with pytest.raises(UnreadableImage, match=r"compressed \(gzip\)"):
        open_image(tmp_path / "1.tar" / "a.png")


def test_an_enormous_member_is_not_read(tmp_path, monkeypatch) -> None:
    path = shard(tmp_path / "0.tar", {"a.png": b"x" * 100})
    monkeypatch.setattr(shards, "LARGEST", 99)
    with pytest.raises(UnreadableImage, match="100 bytes; the limit inside an archive is 99"):
        open_image(path / "a.png")
