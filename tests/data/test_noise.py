"""Captions shuffled over training pairs, and the files that say how."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipr.data.noise import Noise, drawn, noisy, read_index, write_index
from tipr.data.pairs import Pair, contiguous


def _pairs(count: int, each: int = 2) -> tuple[Pair, ...]:
    """`each` captions of a picture, one picture of a person."""
    rows = [
        Pair(Path(f"{i // each}.jpg"), f"caption {i}", 100 + i // each, i // each, camera="c1")
        for i in range(count)
    ]
    return contiguous(rows)[0]


def test_a_hand_made_index_moves_captions_and_nothing_else(tmp_path: Path) -> None:
    np.save(tmp_path / "index.npy", np.array([4, 1, 3, 2, 0, 5]))
    pairs = _pairs(6)
    found = noisy(pairs, Noise(index=tmp_path / "index.npy"))
    told = [4, 1, 3, 2, 0, 5]
    assert [p.caption for p in found.pairs] == [f"caption {i}" for i in told]
    assert [p.caption_id for p in found.pairs] == told
    for before, after in zip(pairs, found.pairs, strict=True):
        kept = ("image", "person_id", "image_id", "camera")
        assert all(getattr(before, name) == getattr(after, name) for name in kept)
    assert (found.moved, found.wrong) == (4, 2)  # pairs 2 and 3 show the same person


@given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 5))
def test_a_share_permutes_so_many_pairs_and_leaves_the_others(n: int, share: float, s: int) -> None:
    pairs = _pairs(n)
    found = noisy(pairs, Noise(share=share, seed=s))
    assert Counter(p.caption for p in found.pairs) == Counter(p.caption for p in pairs)
    differs = [a.caption != b.caption for a, b in zip(pairs, found.pairs, strict=True)]
    assert found.moved == sum(differs) <= int(share * n)
    assert found.wrong <= found.moved


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_nearly_all_that_is_drawn_becomes_wrong(share: float) -> None:
    found = noisy(_pairs(2000), Noise(share=share))
    assert share * 2000 - 10 <= found.wrong <= found.moved <= share * 2000


def test_no_noise_changes_nothing() -> None:
    pairs = _pairs(10)
    assert noisy(pairs, Noise()).pairs == pairs
    assert noisy(pairs, Noise()).moved == 0


def test_a_seed_gives_the_same_noise_everywhere() -> None:
    assert drawn(10, 0.8, 0).tolist() == [0, 6, 9, 1, 4, 5, 2, 7, 8, 3]
    assert drawn(10, 0.8, 1).tolist() == [9, 3, 1, 0, 6, 5, 2, 7, 8, 4]


def test_draws_elsewhere_do_not_matter() -> None:
    np.random.seed(1)
    first, after = drawn(50, 0.5, 3), np.random.rand()
    np.random.seed(1)
    assert np.random.rand() == after
    assert (drawn(50, 0.5, 3) == first).all()


@pytest.mark.parametrize("name", ["index.npy", "index.txt"])
def test_a_written_index_gives_the_same_noise(tmp_path: Path, name: str) -> None:
    file, pairs = tmp_path / name, _pairs(20)
    write_index(drawn(20, 0.5, 3), file)
    read = noisy(pairs, Noise(index=file))
    assert read == noisy(pairs, Noise(share=0.5, seed=3))
    assert read.moved > 0
    assert [file] == list(tmp_path.iterdir())


def test_a_written_array_is_what_others_load(tmp_path: Path) -> None:
    write_index(drawn(20, 0.5, 3), tmp_path / "index.npy")
    loaded = np.load(tmp_path / "index.npy")
    assert loaded.dtype == np.int64
    assert (loaded == drawn(20, 0.5, 3)).all()


@pytest.mark.parametrize("kind", [np.int32, np.uint16, ">i8"])
def test_any_kind_of_whole_numbers_is_read(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "index.npy", np.array([1, 0, 2], dtype=kind))
    assert read_index(tmp_path / "index.npy", 3).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.array([0, 1]), "is for 2 training pairs, and there are 3"),
        (np.array([0, 1, 3]), "pair 2 has the caption of pair 3"),
        (np.array([-1, 1, 2]), "pair 0 has the caption of pair -1"),
        (np.array([0, 1, 1]), "the caption of pair 1 to 2 pairs"),
        (np.array([0.0, 1.0, 2.0]), "float64"),
        (np.array([True, False, True]), "bool"),
        (np.array([[0, 1, 2]]), r"shape \(1, 3\)"),
        (np.array(2), r"shape \(\)"),
    ],
)
def test_an_index_for_other_pairs_is_refused(tmp_path: Path, rows: np.ndarray, says: str) -> None:
    np.save(tmp_path / "index.npy", rows)
    with pytest.raises(ValueError, match=says):
        noisy(_pairs(3), Noise(index=tmp_path / "index.npy"))


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "index.npy", np.array([0, None, 2], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="no index file"):
        read_index(tmp_path / "index.npy", 3)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x02\x00{}", b"PK\x03"])
def test_a_damaged_array_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"index\.npy is no index file"):
        read_index(tmp_path / "index.npy", 3)


def test_a_header_that_promises_too_much_asks_for_no_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "index.npy", np.arange(3))
    data = (tmp_path / "index.npy").read_bytes()
    huge = data.replace(b"(3,), }          ", b"(300000000000,), }", 1)
    (tmp_path / "index.npy").write_bytes(huge)
    assert huge != data
    with pytest.raises(ValueError, match="no index file"):
        read_index(tmp_path / "index.npy", 3)


@pytest.mark.parametrize("text", ["0\none\n2\n", "0\n1.5\n2\n", "0\n99999999999999999999\n2\n"])
def test_a_text_that_is_no_list_of_numbers_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.txt").write_text(text)
    with pytest.raises(ValueError, match=r"index\.txt"):
        read_index(tmp_path / "index.txt", 3)


def test_a_missing_file_and_another_ending_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no index file"):
        read_index(tmp_path / "index.npy", 3)
    with pytest.raises(ValueError, match=r"ends in \.npy or \.txt"):
        read_index(tmp_path / "index.pkl", 3)
    with pytest.raises(ValueError, match=r"ends in \.npy or \.txt"):
        write_index(drawn(3, 0.5, 0), tmp_path / "index")


def test_what_is_no_permutation_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="to 2 pairs"):
        write_index(np.array([0, 1, 1]), tmp_path / "index.npy")
    assert not list(tmp_path.iterdir())


def test_a_share_and_an_index_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.noise\.share"):
        Noise(share=0.5, index=Path("index.npy"))
    with pytest.raises(ValueError, match="from 0 to 1"):
        Noise(share=50)
    with pytest.raises(ValueError, match=r"data\.noise\.seed"):
        Noise(seed=-1)
