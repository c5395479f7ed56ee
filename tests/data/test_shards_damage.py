"""Archives that were cut, damaged, joined or made to do harm, and members that are no files."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from reader_cases import faults_of, picture

from tipr.data import shards
from tipr.data.check import check_dataset
from tipr.data.images import UnreadableImage, open_image
from tipr.data.readers import DatasetError, read_dataset
from tipr.data.shards import ShardError, index, member_bytes


def added(archive: tarfile.TarFile, name: str, contents: bytes = b"", **header: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(contents)
    for field, value in header.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(contents))


def sample(archive: tarfile.TarFile, key: str, person: int, file: Path) -> None:
    facts = {"caption": f"person {person}", "person_id": person, "split": "train"}
    added(archive, f"{key}.png", file.read_bytes())
    added(archive, f"{key}.json", json.dumps(facts).encode())


def packed(root: Path, people: Sequence[int] = (1, 2, 3), name: str = "0.tar") -> Path:
    file = picture(root / "made" / "x.png")
    with tarfile.open(root / name, "w", format=tarfile.GNU_FORMAT) as archive:
        for person in people:
            sample(archive, f"p{person}", person, file)
    return root / name


def refused(path: Path) -> str:
    with pytest.raises(DatasetError) as error:
        read_dataset(path)
    report = check_dataset(path)
    assert "broken shards" in {finding.kind for finding in report.findings}
    assert not report.clean
    return str(error.value)


def test_an_archive_cut_anywhere_is_never_taken_for_the_whole(tmp_path) -> None:
    path = packed(tmp_path)
    whole = path.read_bytes()
    members = len(index(path))
    ends = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for cut in (*range(512, ends, 512), *range(700, ends, 1024), ends):
        path.write_bytes(whole[:cut])
        os.utime(path, ns=(cut, cut))
        with pytest.raises(ShardError, match=r"(breaks off|is no whole tar).*copy it again"):
            index(path)
    path.write_bytes(whole[: ends + 512])  # a lone block of zeros is an end
    assert len(index(path)) == members


def test_a_cut_on_the_edge_of_a_header_is_named(tmp_path) -> None:
    path = packed(tmp_path)
    path.write_bytes(path.read_bytes()[: index(path)["p3.png"].begins - 512])
    assert "breaks off at byte" in refused(path)


def test_a_damaged_header_is_no_end(tmp_path) -> None:
    path = packed(tmp_path)
    data = bytearray(path.read_bytes())
    at = index(path)["p2.png"].begins - 512
    data[at : at + 512] = b"\x99" * 512
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    assert f"0.tar: has a damaged header at byte {at}; copy it again" in refused(path)


def test_of_two_archives_in_one_file_none_is_lost_without_a_word(tmp_path) -> None:
    path, other = packed(tmp_path), packed(tmp_path, (4, 5), "1.tar")
    path.write_bytes(path.read_bytes() + other.read_bytes())
    assert "two archives in one file? Keep them as two files" in refused(path)


def test_zeros_after_the_end_are_read_up_to_a_limit(tmp_path, monkeypatch) -> None:
    path = packed(tmp_path)
    assert len(index(path)) == 6
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + shards.TAIL)
    message = refused(path)
    assert "holds nothing in its last" in message and "is the download unfinished?" in message


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("size", [shards.EXTENSION + 1, 6 << 30, 1 << 45, 1 << 62, -512])
@pytest.mark.parametrize("first", [True, False])
def test_a_header_that_claims_more_than_any_name_is_refused(tmp_path, kind, size, first) -> None:
    path = packed(tmp_path)
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, size
    at = 0 if first else index(path)["p2.png"].begins - 512
    with path.open("r+b") as file:
        file.seek(at)
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.truncate(at + (1 << 33))  # a hole, which costs no disk
    tracemalloc.start()
    with pytest.raises(ShardError, match=rf"claims {size} bytes, the limit is 1048576\); copy it"):
        index(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize("error", [MemoryError, RecursionError, IndexError("no such place")])
def test_whatever_a_header_makes_tarfile_raise_is_told(tmp_path, monkeypatch, error) -> None:
    def failing(*_: object) -> None:
        raise error

    path = packed(tmp_path)
    monkeypatch.setattr(tarfile.TarFile, "next", failing)
    with pytest.raises(ShardError, match=r"no whole tar archive \((no such place|\w+Error)\)"):
        index(path)


LINK = "is a link; pack it with tar --dereference --hard-dereference"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("endings", [("png", "json"), ("png",), ("json",)])
def test_links_are_told_and_never_followed(tmp_path, kind: bytes, endings) -> None:
    file = picture(tmp_path / "made" / "x.png")
    path = tmp_path / "0.tar"
    with tarfile.open(path, "w") as archive:
        sample(archive, "a", 1, file)
        for ending in ("png", "json"):
            if ending in endings:
                added(archive, f"b.{ending}", type=kind, linkname=f"a.{ending}")
            else:
                added(archive, f"b.{ending}", b'{"caption": "x", "person_id": 2}')
        added(archive, "folder.png", type=tarfile.DIRTYPE)
        added(archive, "notes", type=kind, linkname="/etc/passwd")
    assert str(index(path).keys()) == "dict_keys(['a.png', 'a.json', 'b.png', 'b.json', 'notes'])"
    (fault,) = faults_of(path)
    assert (fault.where, fault.says) == (f"{path}, sample 1 (b)", f"b.{endings[0]} {LINK}")
    assert LINK in refused(path)
    with pytest.raises(UnreadableImage, match=f"b.{endings[0]} {LINK}"):
        open_image(path / f"b.{endings[0]}")


def test_a_device_is_no_picture(tmp_path) -> None:
    path = packed(tmp_path)
    with tarfile.open(path, "a") as archive:
        added(archive, "b.png", type=tarfile.FIFOTYPE)
        added(archive, "b.json", b'{"caption": "x", "person_id": 2}')
    assert "sample 3 (b): b.png is no regular file" in refused(path)


def sparse(archive: tarfile.TarFile, name: str, how: str) -> None:
    """A member as tar --sparse stores it: 1 GiB long, of which a few bytes are kept."""
    if how == "gnu":
        header = tarfile.TarInfo(name)
        header.type, header.size = tarfile.GNUTYPE_SPARSE, 512
        block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
        block[386:410] = b"%011o\0" % 0 + b"%011o\0" % 512
        block[483:495] = b"10000000000\0"
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        assert archive.fileobj is not None
        archive.fileobj.write(bytes(block) + b"x" * 512)
        archive.offset += 1024
        return
    facts = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name,
             "GNU.sparse.realsize": str(1 << 30)}  # fmt: skip
    stored = (b"1\n0\n512\n" if how == "pax" else b"9" * 9).ljust(512, b"\0")
    added(archive, f"GNUSparseFile.0/{name}", stored + b"x" * 512, pax_headers=facts)


@pytest.mark.parametrize("how", ["gnu", "pax", "pax with a broken map"])
def test_a_sparse_member_spoils_no_other(tmp_path, how: str) -> None:
    file = picture(tmp_path / "made" / "x.png")
    path = tmp_path / "0.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        sample(archive, "a", 1, file)
        sparse(archive, "b.png", how)
        added(archive, "b.json", b'{"caption": "x", "person_id": 2}')
        sparse(archive, "notes.bin", how)
        sample(archive, "c", 3, file)
    (fault,) = faults_of(path)
    assert fault.where == f"{path}, sample 1 (b)"
    assert fault.says == "b.png is stored with holes; pack it without tar --sparse"
    assert member_bytes(path / "c.png") == file.read_bytes()
    with pytest.raises(ShardError, match="stored with holes"):
        member_bytes(path / "notes.bin")


def test_names_cannot_steer_the_terminal(tmp_path) -> None:
    file = picture(tmp_path / "made" / "x.png")
    path, odd = tmp_path / "0.tar", tmp_path / "\x1b[31m.tar"
    with tarfile.open(path, "w") as archive:
        sample(archive, "a", 1, file)
        added(archive, "b\x1b]0;owned\x07.json", b"{}")
    odd.write_bytes(b"no archive\x1b")
    errors = [refused(odd)]
    with pytest.raises(DatasetError) as named:
        read_dataset(path)
    errors.append(str(named.value))
    assert "0.tar, sample 1 (b\\x1b]0;owned\\x07): has no picture, only b\\x1b" in errors[-1]
    for name in ("c\x1b.png", "\x9b31m\u202e.png"):
        with pytest.raises(UnreadableImage) as unread:
            open_image(odd / name)
        errors.append(str(unread.value))
    with pytest.raises(ShardError) as missing:
        index(odd)
    picture(tmp_path / "\x1b[32m.png")  # which no entry names
    reports = f"{check_dataset(path)}\n{check_dataset(odd)}"
    assert "\\x1b[32m.png" in reports
    errors += [str(missing.value), str(faults_of(path)[0]), *reports.splitlines()]
    with pytest.raises(DatasetError) as unknown:
        read_dataset(tmp_path / "\x1b[33m")
    assert all(text.isprintable() for text in [*errors, str(unknown.value)])
