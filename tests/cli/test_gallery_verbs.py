"""An operator's days with a gallery, through the verbs of the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rectangles import draw

from tipr.cli import app
from tipr.embedder import Embedder

Ran = Callable[..., str]


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Ran:
    """The verbs as they are typed; gives stdout, `ran.said` is stderr."""

    def run(*words: object) -> str:
        capsys.readouterr()
        app([str(word) for word in words])
        out, run.said = capsys.readouterr()  # ty: ignore[unresolved-attribute]
        return out

    return run


@pytest.fixture
def model(embedder: Embedder, tmp_path: Path) -> Path:
    embedder.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def people(model: Path, tmp_path: Path, ran: Ran) -> Path:
    """Six crops of two cameras, an hour apart, with thumbnails."""
    folder = tmp_path / "crops"
    for number, top in enumerate(("red", "blue", "green", "red", "blue", "white")):
        path = (
            folder / ("lobby", "gate")[number % 2] / f"20261101_{12 + number}0000_{number // 2}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(top, ("black", "yellow")[number // 3]).save(path)
    pattern = "{camera}/{time:%Y%m%d_%H%M%S}_{track}.png"
    ran("index", folder, "--gallery", tmp_path / "people", "--model", model, "--names", pattern,
        "--zone", "Europe/Berlin", "--thumbnails", 64)  # fmt: skip
    return tmp_path / "people"


def listed(ran: Ran, *words: object) -> list[dict]:
    return [json.loads(line) for line in ran("gallery", "list", *words, "--json").splitlines()]


def test_names_tell_camera_time_and_track(people: Path, ran: Ran):
    first = listed(
        ran, people, "camera:lobby", "before:2026-11-01T12:30", "--zone", "Europe/Berlin"
    )
    assert [(row["camera"], row["time"], row["track"]) for row in first] == [
        ("lobby", "2026-11-01T11:00:00+00:00", "0")
    ]
    info = json.loads(ran("gallery", "info", people))
    assert info["cameras"] == {"gate": 3, "lobby": 3}
    assert (info["rows"], info["first"]) == (6, "2026-11-01T11:00:00+00:00")
    assert info["calibration"] is None


def test_filters_stand_in_the_sentence_beside_it_and_as_json(people: Path, ran: Ran):
    def found(*words: object) -> set[str]:
        answer = json.loads(ran("search", *words, "--gallery", people, "--json"))
        return {
            Path(hit["path"]).parent.name + Path(hit["path"]).stem[8:11] for hit in answer["hits"]
        }

    assert found("a red top camera:lobby") == {"lobby_12", "lobby_14", "lobby_16"}
    assert found("a red top", "-camera:lobby", "time:13:00-14:00", "--zone", "Europe/Berlin") == {
        "gate_13"
    }
    assert found("a red top", "--filter", '{"field": "track", "among": ["2"]}') == {
        "lobby_16", "gate_17"
    }  # fmt: skip
    ran("search", "a red top", "camera:nowhere", "--gallery", people)
    assert "the filter lets nothing through" in ran.said
    with pytest.raises(ValueError, match="--filter is not JSON"):
        ran("search", "a red top", "--filter", "{", "--gallery", people)


def test_results_are_grouped_paged_and_understood(people: Path, ran: Ran):
    words = ("search", "red top AND yellow trousers NOT hat", "--gallery", people, "--by", "track")
    pages = [json.loads(ran(*words, "-k", 2, "--page", page, "--json")) for page in (1, 2)]
    assert [len(page["groups"]) for page in pages] == [2, 2]
    assert [page["more"] for page in pages] == [True, True]
    assert [hit["rank"] for hit in pages[1]["hits"]] == [3, 4]
    ran(*words)
    assert "looked for" in ran.said and "hat" in ran.said


def test_examples_and_feedback_move_the_answer(people: Path, ran: Ran, tmp_path: Path):
    draw("white", "yellow").save(tmp_path / "example.png")
    alone = json.loads(
        ran("search", "--image", tmp_path / "example.png", "--gallery", people, "--json")
    )
    assert Path(alone["hits"][0]["path"]).name.startswith("20261101_17")
    assert alone["verdict"] is None
    best = alone["hits"][0]["id"]
    liked = json.loads(
        ran("search", "a top", "--like", best, "--gallery", people, "-k", 1, "--json")
    )
    assert liked["hits"][0]["id"] == best


def test_a_search_is_exported_with_its_pictures(people: Path, ran: Ran, tmp_path: Path):
    ran("search", "a red top", "camera:gate", "--gallery", people, "--export", tmp_path / "out")
    pictures = list((tmp_path / "out").rglob("*.png"))
    assert len(pictures) == 3
    ran("gallery", "list", people, "camera:gate", "--export", tmp_path / "gate.csv")
    with (tmp_path / "gate.csv").open(newline="", encoding="utf-8") as file:
        assert [row["camera"] for row in csv.DictReader(file)] == ["gate"] * 3


def test_records_change_and_vectors_stay(people: Path, ran: Ran):
    before = ran("search", "a red top", "--gallery", people)
    assert ran("gallery", "set", people, "camera:gate", "--to", "camera=north door", "--to",
               "guard=true").strip() == "3 rows changed"  # fmt: skip
    assert len(listed(ran, people, 'camera:"north door"', "guard:true")) == 3
    after = ran("search", "a red top", "--gallery", people)
    assert [line.split()[1] for line in after.splitlines()] == [
        line.split()[1] for line in before.splitlines()
    ]


def test_nothing_is_removed_where_nothing_was_said(people: Path, ran: Ran):
    for verb in ("remove", "erase", "set"):
        extra = ("--to", "camera=x") if verb == "set" else ()
        with pytest.raises(ValueError, match="say which rows"):
            ran("gallery", verb, people, *extra)
    assert len(listed(ran, people)) == 6


def test_rows_are_kept_for_their_least_age_and_no_longer_than_their_most(people: Path, ran: Ran):
    policy = json.loads(ran("gallery", "keep", people, "lobby=0..0.001", "*=30000.."))
    assert policy["lobby"] == {"minimum": 0, "maximum": 0.001}
    held = json.loads(ran("gallery", "remove", people, "camera:gate", "--json"))
    assert (held["removed"], held["protected"]) == (0, 3)
    assert "3 rows are past their time" in ran("gallery", "expire", people, "--dry-run")
    assert "3 rows were removed" in ran("gallery", "expire", people)
    assert [row["camera"] for row in listed(ran, people)] == ["gate"] * 3
    forced = json.loads(
        ran("gallery", "remove", people, "track:0", "--force", "court order", "--json")
    )
    assert forced["removed"] == 1
    with pytest.raises(ValueError, match=r"write CAMERA=MINIMUM\.\.MAXIMUM"):
        ran("gallery", "keep", people, "lobby")
    assert json.loads(ran("gallery", "keep", people, "--none")) == {}


def test_what_is_erased_leaves_no_trace(people: Path, ran: Ran, tmp_path: Path):
    gone = listed(ran, people, "track:1")
    proof = json.loads(
        ran("gallery", "erase", people, "track:1", "--proof", tmp_path / "proof.json")
    )
    assert proof == json.loads((tmp_path / "proof.json").read_text())
    assert proof["complete"] is True
    everything = b"".join(path.read_bytes() for path in people.rglob("*") if path.is_file())
    assert len(gone) == 2
    assert not any(row["id"].encode() in everything for row in gone)
    assert all(Path(row["path"]).is_file() for row in gone)


def test_damage_is_named_with_an_exit_code(people: Path, ran: Ran):
    assert "6 rows, all whole" in ran("gallery", "check", people)
    path = next(people.rglob("vectors.f32"))
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])
    with pytest.raises(SystemExit) as stopped:
        ran("gallery", "check", people)
    assert stopped.value.code == 1


def test_a_gallery_is_tidied_compacted_measured_and_copied(people: Path, ran: Ran, tmp_path: Path):
    ran("gallery", "remove", people, "track:0")
    assert json.loads(ran("gallery", "tidy", people))["removed"] == 2
    assert json.loads(ran("gallery", "compact", people))["removed"] == 0
    report = json.loads(ran("gallery", "recall", people, "camera:lobby", "--queries", 5))
    assert report["recall"] == {"1": 1.0, "10": 1.0, "100": 1.0}
    assert (report["index"], report["rows"]) == ("exact", 2)
    for _ in range(2):
        assert ran("gallery", "copy", people, tmp_path / "copy").strip().endswith(": 4 rows")
    assert ran("search", "red", "--gallery", people) == ran(
        "search", "red", "--gallery", tmp_path / "copy"
    )


def test_a_gallery_is_indexed_anew_by_another_model(people: Path, ran: Ran, tmp_path: Path, model):
    same = ("reindex", "--gallery", people, "--model", model)
    with pytest.raises(ValueError, match="indexed with this model already"):
        ran(*same)
    done = json.loads(ran("reindex", "--gallery", people, "--model", "shipped:small", "--json"))
    assert (done["rows"], done["lost"]) == (6, [])
    assert json.loads(ran("show", people))["model"] == "shipped:small"
    assert len(ran("search", "a red top", "--gallery", people).splitlines()) == 6


def test_a_small_gallery_cannot_be_calibrated_and_says_why(people: Path, ran: Ran):
    with pytest.raises(ValueError, match="index more, then calibrate"):
        ran("calibrate", "--gallery", people)
    with pytest.raises(ValueError, match="calibrate it first"):
        ran("search", "red", "--at-least", "0.5", "--gallery", people)


def test_a_table_beside_the_pictures_tells_of_them(model: Path, ran: Ran, tmp_path: Path):
    for folder, camera in (("a", "gate"), ("b", "lobby")):
        (tmp_path / folder).mkdir()
        draw("red", {"a": "black", "b": "white"}[folder]).save(tmp_path / folder / "1.png")
        table = f"path,camera,colour\n1.png,{camera},red\n2.png,{camera},\n"
        (tmp_path / folder / "records.csv").write_text(table)
    words = ("index", tmp_path / "a", tmp_path / "b", "--gallery", tmp_path / "g", "--model", model)
    done = json.loads(ran(*words, "--json"))
    assert (done["added"], done["skipped"], done["unused"]) == (2, [], ["2.png", "2.png"])
    assert [row["camera"] for row in listed(ran, tmp_path / "g", "colour:red")] == ["gate", "lobby"]
    ran(*words)
    assert "the table tells of 2.png, which is not there" in ran.said
