"""The made-up set has the released one's shape, and the rehearsal runs the real commands."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from PIL import Image

import tipr
from tipr.bench import cuhk, rehearsal
from tipr.bench.measured import measured
from tipr.bench.rehearsal import Stage, cuhk_shape, table
from tipr.cli import app
from tipr.cli.rehearsal import rehearsal as command
from tipr.data.readers import read_dataset

SCALE = 0.004


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cuhk_shape(tmp_path_factory.mktemp("shape") / "set", SCALE)


def rows_of(folder: Path) -> list[dict]:
    return json.loads((folder / "reid_raw.json").read_text())


def test_at_full_size_all_counts_are_the_released_ones() -> None:
    shots = list(cuhk._shots(1.0))
    told = {
        split: (len(own), sum(s.sentences for s in own), len({s.person for s in own}))
        for split in ("train", "val", "test")
        for own in [[s for s in shots if s.split == split]]
    }
    assert told == {
        "train": (34_054, 68_126, 11_003),
        "val": (3_078, 6_158, 1_000),
        "test": (3_074, 6_156, 1_000),
    }
    assert {s.person for s in shots} == set(range(1, 13_004))
    assert len({s.file for s in shots}) == len(shots)
    sentences = Counter(s.sentences for s in shots)
    assert (sentences[10], sentences[4]) == (1, 1)
    assert sum(n for count, n in sentences.items() if count > 2) == 9
    assert 1 in Counter(s.person for s in shots).values()


def test_the_small_set_keeps_folders_formats_and_traps(small) -> None:
    rows = rows_of(small)
    folders = {row["file_path"].split("/")[0] for row in rows}
    assert folders == {p.name for p in (small / "imgs").iterdir()} == set(cuhk.NAMES)
    assert {Path(row["file_path"]).suffix for row in rows} == {".bmp", ".png", ".jpg"}
    captions = [caption for row in rows for caption in row["captions"]]
    assert any("\n" in caption for caption in captions)
    assert any("  " in caption for caption in captions)
    assert max(len(row["captions"]) for row in rows) == 10
    for row in rows:
        assert len(set(row["captions"])) == len(row["captions"]) == len(row["processed_tokens"])
        with Image.open(small / "imgs" / row["file_path"]) as image:
            kind = {".bmp": "BMP", ".png": "PNG", ".jpg": "JPEG"}[Path(row["file_path"]).suffix]
            assert (image.size, image.format) == ((16, 48), kind)


def test_it_is_read_like_the_released_set(small) -> None:
    dataset, rows = read_dataset(small), rows_of(small)
    for split in ("train", "val", "test"):
        own = [row for row in rows if row["split"] == split]
        assert len(dataset.split(split)) == sum(len(row["captions"]) for row in own)


def test_sentences_name_the_colours_that_are_drawn(tmp_path) -> None:
    folder = cuhk_shape(tmp_path / "large", 0.001, size=(120, 40))
    rows = [row for row in rows_of(folder) if row["file_path"].endswith(".png")][:12]
    top, bottom, left, right = cuhk.PARTS["top"]
    middle = (round(20 * (left + right)), round(60 * (top + bottom)))
    for row in rows:
        looks = cuhk._looks(row["id"], seed=0)
        with Image.open(folder / "imgs" / row["file_path"]) as image:
            seen = image.crop((*middle, middle[0] + 1, middle[1] + 1)).tobytes()
        nearest = min(cuhk.COLOURS, key=lambda name: _apart(cuhk.COLOURS[name], seen))
        assert nearest == looks["top"] and all(looks["top"] in c for c in row["captions"])


def _apart(one: tuple[int, ...], other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def test_the_same_seed_gives_the_same_files(tmp_path) -> None:
    seeds = {"a": 1, "b": 1, "c": 2}
    sets = [cuhk_shape(tmp_path / name, 0.0001, seed=seed) for name, seed in seeds.items()]
    first, again, other = (
        {p.relative_to(s): p.read_bytes() for p in s.rglob("*") if p.is_file()} for s in sets
    )
    assert first == again and first.keys() == other.keys() and first != other


def test_a_folder_that_is_there_is_left_alone(small, tmp_path) -> None:
    with pytest.raises(ValueError, match="there already"):
        cuhk_shape(small)
    with pytest.raises(ValueError, match="scale"):
        cuhk_shape(tmp_path / "set", 2.0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_interrupted_leaves_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cuhk, "_drawn", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cuhk_shape(tmp_path / "set", 0.0001)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_memory_is_that_of_the_command_and_not_of_who_starts_it() -> None:
    ballast = bytearray(b"x") * (300 << 20)
    script = Path(rehearsal.__file__).with_name("measured.py")
    peaks = []
    for held in (1, 100 << 20):
        work = f"bytearray(b'x') * {held}"
        code = [sys.executable, "-P", str(script), "/dev/stdout", sys.executable, "-c", work]
        peaks.append(
            json.loads(subprocess.run(code, capture_output=True, check=True).stdout)["peak"]
        )
    assert peaks[0] < 100 << 20 < peaks[1] < len(ballast)


def test_the_exit_code_of_a_command_is_told() -> None:
    assert measured([sys.executable, "-c", "raise SystemExit(3)"])["code"] == 3


def test_a_command_is_run_in_a_process_of_its_own(tmp_path) -> None:
    took, printed = rehearsal._measured("version", ["--version"], tmp_path)
    assert printed.strip() == tipr.__version__
    assert took["code"] == 0 and took["seconds"] > 0
    assert (tmp_path / "version.log").read_text() == ""


def test_a_stage_that_fails_is_named_with_its_last_words(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rehearsal, "_commands", lambda *_: {"check": ["show", "no:such"]})
    with pytest.raises(RuntimeError, match=r"check failed \(1\): tipr: .*no:such"):
        rehearsal.rehearse(tmp_path / "nothing", tmp_path / "out")


def test_a_table_has_a_line_for_each_stage() -> None:
    stages = [
        Stage(name="check", command="tipr data check", seconds=1.25, peak=3 << 30, result="clean"),
        Stage(name="eval", command="tipr eval", seconds=2.0, peak=None, result="R1"),
    ]
    assert table(stages).splitlines()[2:] == [
        "| check | 1.2 | 3,072 | clean |",
        "| eval | 2.0 | - | R1 |",
    ]


def in_this_process(name: str, words: list[str], out: Path) -> tuple[dict, str]:
    """Spares the tests an import of torch for each stage."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        app(words)
    return {"code": 0, "seconds": 1.0, "peak": 5 << 20}, printed.getvalue()


def test_every_stage_runs_and_is_reported(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(rehearsal, "_measured", in_this_process)
    command(out=tmp_path / "out", scale=0.002, as_json=True)
    printed = capsys.readouterr()
    facts = json.loads(printed.out)
    assert [stage["name"] for stage in facts["stages"]] == ["check", "train", "eval", "index"]
    results = {stage["name"]: stage["result"] for stage in facts["stages"]}
    images = len(rows_of(tmp_path / "out" / "data"))
    assert results["check"].startswith(f"{images:,} images") and "clean" in results["check"]
    assert results["eval"].startswith("R1 ")
    assert results["index"] == f"{images:,} images added, 0 skipped"
    assert "--set data.batch_size=96" in facts["stages"][1]["command"]
    assert (tmp_path / "out" / "rehearsal.md").read_text().count("| 1.0 | 5 |") == 4
    stages = [line for line in printed.err.splitlines() if line.endswith(" ...")]
    assert stages == [f"{name} ..." for name in ("write", "check", "train", "eval", "index")]
