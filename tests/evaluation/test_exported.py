"""What is exported is judged beside PyTorch; what loses too much never reaches a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exports import PICTURES, TEXTS, contents, listed
from jaxtyping import Float32
from rectangles import draw
from torch import Tensor

from tipr.data.readers import read_dataset
from tipr.embedder import Embedder
from tipr.embedder.graphs import file_of
from tipr.embedder.runtime import Engine, Precision
from tipr.encoders.encoder import MODALITIES, Modality
from tipr.evaluation import exported
from tipr.evaluation.exported import ExportRefused, Judged, Sample, Wanted, export, readable

Vectors = Float32[np.ndarray, "N D"]
Change = Callable[[Vectors], Vectors]
SAMPLE = Sample(calibrating=(PICTURES[:4], TEXTS[:4]), judging=(PICTURES[4:20], TEXTS[4:20]))


class Clock:
    """Work takes the seconds that are told; every third time something else disturbs it."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    def spend(self, seconds: float) -> None:
        self.calls += 1
        self.now += seconds * (50 if self.calls % 3 == 0 else 1)


class Engines:
    """Engines that compute what PyTorch does, changed as told, in the seconds that are told."""

    def __init__(self, embedder: Embedder, clock: Clock) -> None:
        self.true, self.clock = embedder.runtime, clock
        self.seconds: dict[str, tuple[float, float]] = {}
        self.changes: dict[tuple[str, Modality], Change] = {}

    def opened(self, engine: Engine, precision: Precision, files: dict[Modality, Path]) -> object:
        assert files["image"].is_file() and files["text"].name == file_of("text", precision)
        return self.named(f"{engine}:{precision}")

    def named(self, name: str) -> object:
        return SimpleNamespace(
            name=name, device=torch.device("cpu"),
            images=lambda pixels: self._answer(name, "image", pixels),
            texts=lambda tokens: self._answer(name, "text", tokens),
        )  # fmt: skip

    def _answer(self, name: str, modality: Modality, batch: Tensor) -> Vectors:
        self.clock.spend(self.seconds.get(name, (1.0, 1.0))[modality == "text"])
        vectors = (self.true.images if modality == "image" else self.true.texts)(batch)
        return self.changes.get((name, modality), lambda same: same)(vectors)


def turned(vectors: Vectors) -> Vectors:
    """Other vectors, the same ones for the same picture or sentence."""
    return vectors @ np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)


@pytest.fixture
def engines(embedder, monkeypatch) -> Engines:
    clock = Clock()
    found = Engines(embedder, clock)

    def files(_: object, folder: Path, precisions: tuple[Precision, ...], given: dict) -> None:
        assert given.keys() == set(MODALITIES)
        for precision in precisions:
            for modality in MODALITIES:
                (folder / file_of(modality, precision)).write_text(f"{modality} {precision}")

    monkeypatch.setattr(exported, "graph_files", files)
    monkeypatch.setattr(exported, "Exported", found.opened)
    monkeypatch.setattr(exported, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    embedder.runtime = found.named("pytorch")
    return found


def judged(embedder: Embedder, out: Path, wanted: Wanted, sample: Sample = SAMPLE) -> dict:
    return {one.way.name: one for one in export(embedder, out, wanted, sample)}


def ways(out: Path) -> list[str]:
    facts = json.loads((out / "graphs/graphs.json").read_text())
    return [f"{way['engine']}:{way['precision']}" for way in facts["ways"]]


def test_cosines_are_taken_after_the_true_mean_is_off() -> None:
    true = np.array([[4, 1], [4, -1], [4, 0], [8, 0]], np.float32)  # mean 5, 0
    found = np.array([[4, 1], [4, 1], [3, 0], [5, 3]], np.float32)
    # (-1, 1)(-1, 1), (-1, -1)(-1, 1), (-1, 0)(-2, 0), (3, 0)(0, 3): 1, 0, 1, 0
    assert exported._turned(found, true) == pytest.approx((0.5, 0.0))
    flattering = (
        (found * true).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(true, axis=1)
    )
    assert flattering.mean() > 0.8
    assert exported._turned(true, true) == pytest.approx((1.0, 1.0))


def test_the_share_of_the_nearest_that_stay_is_counted_by_sentence() -> None:
    places = np.linspace(0, 1, 12, dtype=np.float32)
    images = np.stack([places, 1 - places], axis=1)
    right, left = (np.repeat(np.array([way], np.float32), 12, axis=0) for way in ([1, 0], [0, 1]))
    both = np.concatenate([right[:6], left[:6]])  # they rank 11 10 .. 0, and 0 1 .. 11
    assert exported._stay((images, both), (images, both)) == (1.0, 1.0)
    moved = images[[11, *range(1, 11), 0]]  # 0 10 .. 1 11, and 11 1 .. 10 0
    assert exported._stay((moved, both), (images, both)) == (0.9, 0.0)
    far = images[[*range(11), 0]]  # picture 11 lies where 0 does: 10 9 .. 1 0 11, and 0 11 1 ..
    assert exported._stay((far, both), (images, both)) == (0.9, 0.5)
    few = images[:3], right[:3]
    assert exported._stay((images[[1, 0, 2]], right[:3]), few) == (1.0, 1.0)


def test_the_way_that_is_quickest_with_pictures_comes_first(engines, embedder, tmp_path) -> None:
    engines.seconds = {
        "openvino:fp32": (1 / 2, 1 / 9),
        "openvino:int8": (1 / 4, 2.0),
        "onnxruntime:fp32": (2.0, 1 / 4),
        "onnxruntime:int8": (1 / 3, 1.0),
    }
    found = judged(embedder, tmp_path / "out", Wanted(precisions=("fp32", "int8")))
    order = ["openvino:int8", "onnxruntime:int8", "openvino:fp32", "onnxruntime:fp32"]
    assert ways(tmp_path / "out") == order
    told = [(found[name].pictures, found[name].sentence) for name in order]
    assert np.allclose(told, [(4, 0.5), (3, 1), (2, 9), (0.5, 4)])
    facts = json.loads((tmp_path / "out/graphs/graphs.json").read_text())
    measured = facts["ways"][0]["measured"]
    assert (measured["pictures"], measured["sentence"]) == pytest.approx((4, 0.5))
    assert measured["cosines"]["text"] == pytest.approx([1, 1])


def test_without_known_people_vectors_that_turn_are_refused(engines, embedder, tmp_path) -> None:
    out = tmp_path / "out"
    engines.changes = {
        ("openvino:int8", "text"): turned,
        ("onnxruntime:int8", "image"): turned,
        ("onnxruntime:fp16", "image"): turned,
    }
    found = judged(embedder, out, Wanted())
    refused = {name: one.refused for name, one in found.items() if one.refused}
    assert refused.keys() == {"openvino:int8", "onnxruntime:int8", "onnxruntime:fp16"}
    assert "the vectors of OpenVINO int8 turn too far (mean cosine " in refused["openvino:int8"]
    assert set(ways(out)) == {"openvino:fp32", "onnxruntime:fp32", "openvino:fp16"}
    assert listed(out / "graphs") == [
        "graphs.json", "image.fp16.onnx", "image.fp32.onnx", "text.fp16.onnx", "text.fp32.onnx",
    ]  # fmt: skip
    sums = json.loads((out / "graphs/graphs.json").read_text())["sha256"]
    assert sorted(sums) == listed(out / "graphs")[1:]
    assert found["openvino:int8"].cosines["image"] == pytest.approx((1, 1))
    assert found["onnxruntime:int8"].nearest < 1 == found["openvino:fp32"].nearest
    assert found["onnxruntime:int8"].first < 1 == found["openvino:fp32"].first
    assert Embedder.load(out, "cpu", runtime="pytorch").fingerprint == embedder.fingerprint


@pytest.mark.parametrize(("least", "refused"), [(0.981, False), (0.979, True)])
def test_a_mean_cosine_of_98_hundredths_is_enough(least: float, refused: bool) -> None:
    cosines: dict[Modality, tuple[float, float]] = {"image": (1.0, 0.5), "text": (least, 0.5)}
    assert bool(exported._refused("openvino", "int8", cosines, {}, 0.5)) == refused


def oracle(embedder: Embedder, pairs: list, misled: int = -1) -> Callable[[Tensor], Vectors]:
    """Knows val's pictures and captions by their bytes; captions of one person lead to the next."""
    people = {}
    for pair in pairs:
        asked = pair.person_id + (6 if pair.person_id == misled else 0)
        people[_key(embedder.pixels([pair.image])[0])] = pair.person_id
        people[_key(embedder.tokenizer([pair.caption])[0])] = asked
    places = np.eye(64, dtype=np.float32) + np.float32(0.01)
    return lambda batch: places[[people.get(_key(row), 60) for row in batch]]


def _key(row: Tensor) -> bytes:
    return (row[row != 0] if row.ndim == 1 else row).numpy().tobytes()


@pytest.fixture
def people(engines, embedder, rectangles_root, monkeypatch) -> Sample:
    """PyTorch finds everybody; OpenVINO in 8 bits misses one of six people."""
    pairs = list(read_dataset(rectangles_root).split("val"))
    first = min(pair.person_id for pair in pairs)
    sure, unsure = oracle(embedder, pairs), oracle(embedder, pairs, misled=first)

    def answer(self: Engines, name: str, _: Modality, batch: Tensor) -> Vectors:
        self.clock.spend(1.0)
        return (unsure if name == "openvino:int8" else sure)(batch)

    monkeypatch.setattr(Engines, "_answer", answer)
    some = [pair.image for pair in pairs], [pair.caption for pair in pairs]
    return replace(SAMPLE, judging=some, pairs=pairs)


def test_vectors_that_turn_are_refused_whatever_a_split_says() -> None:
    cosines: dict[Modality, tuple[float, float]] = {"image": (1.0, 1.0), "text": (0.9, 0.5)}
    lost = {name: exported.Difference(mean=0.0, low=0.0, high=0.0) for name in ("R1", "mAP")}
    assert "turn too far" in exported._refused("openvino", "int8", cosines, lost, 0.5)


def test_with_known_people_what_is_lost_decides(people, embedder, tmp_path) -> None:
    found = judged(embedder, tmp_path / "out", Wanted(), people)
    lost = found["openvino:int8"].lost
    assert lost["R1"].mean == pytest.approx(100 / 6)
    assert lost["R1"].low <= lost["R1"].mean <= lost["R1"].high and lost["R1"].low < lost["R1"].high
    assert 0 < lost["mAP"].mean < 100 / 6
    assert found["openvino:int8"].refused == "OpenVINO int8 loses 16.67 points, more than 0.5"
    assert {one.lost["R1"].mean for name, one in found.items() if name != "openvino:int8"} == {0.0}
    assert "openvino:int8" not in ways(tmp_path / "out") and len(ways(tmp_path / "out")) == 5
    assert "image.int8.onnx" in listed(tmp_path / "out/graphs")


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [(Wanted(most_lost=16.0), False), (Wanted(force=True), True)],
)
def test_what_is_forced_is_kept(people, embedder, tmp_path, wanted: Wanted, kept: bool) -> None:
    found = judged(embedder, tmp_path / "out", wanted, people)
    assert ("openvino:int8" in ways(tmp_path / "out")) == kept
    assert found["openvino:int8"].refused


@pytest.mark.parametrize(("r1", "map_"), [(0.6, 0.0), (0.0, 0.6), (0.6, -3.0)])
def test_the_worse_of_r1_and_map_counts(r1: float, map_: float) -> None:
    lost = {name: exported.Difference(mean=value, low=value, high=value)
            for name, value in (("R1", r1), ("mAP", map_))}  # fmt: skip
    cosines: dict[Modality, tuple[float, float]] = {"image": (1.0, 1.0), "text": (1.0, 1.0)}
    told = exported._refused("onnxruntime", "int8", cosines, lost, 0.5)
    assert told == "ONNX Runtime int8 loses 0.60 points, more than 0.5"
    assert not exported._refused("onnxruntime", "int8", cosines, lost, 0.7)


@pytest.mark.parametrize("older", [False, True])
def test_where_everything_is_refused_nothing_is_written(
    engines, embedder, tmp_path, older: bool
) -> None:
    out = tmp_path / "out"
    if older:
        judged(embedder, out, Wanted())
    before = contents(tmp_path)
    engines.changes = {(f"{engine}:int8", "text"): turned for engine in ("openvino", "onnxruntime")}
    with pytest.raises(ExportRefused, match=r"nothing was written: .*OpenVINO int8.*--crops"):
        export(embedder, out, Wanted(precisions=("int8",)), SAMPLE)
    assert contents(tmp_path) == before and listed(tmp_path) == (["out"] if older else [])
    judged(embedder, out, Wanted(precisions=("int8",), force=True))
    assert len(ways(out)) == 2 and listed(tmp_path) == ["out"]


def test_only_engines_that_are_installed_are_judged(
    engines, embedder, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(exported, "missing", lambda engine: engine == "openvino")
    found = judged(embedder, tmp_path / "out", Wanted())
    assert {one.engine for one in found.values()} == {"onnxruntime"}
    monkeypatch.setattr(exported, "missing", lambda _: True)
    with pytest.raises(ImportError, match=r"OpenVINO is not installed: pip install 'tipr\[openv"):
        export(embedder, tmp_path / "none", Wanted(), SAMPLE)
    assert listed(tmp_path) == ["out"]


def test_an_engine_that_is_asked_for_by_name_is_never_passed_over(
    engines, embedder, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(exported, "missing", lambda engine: engine == "onnxruntime")
    with pytest.raises(
        ImportError, match=r"ONNX Runtime is not installed: pip install 'tipr\[onnx"
    ):
        export(embedder, tmp_path / "out", Wanted(engines=("openvino", "onnxruntime")), SAMPLE)
    assert listed(tmp_path) == []


@pytest.mark.parametrize("judging", [([], TEXTS), (PICTURES, [])])
def test_nothing_is_exported_that_nothing_judges(engines, embedder, tmp_path, judging) -> None:
    with pytest.raises(ValueError, match="too few pictures to judge with; give a folder with more"):
        export(embedder, tmp_path / "out", Wanted(), replace(SAMPLE, judging=judging))
    assert listed(tmp_path) == []


def test_other_things_in_the_way_are_left_as_they_are(engines, embedder, tmp_path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"holds other things \(thesis\.txt\)"):
        export(embedder, tmp_path / "home", Wanted(), SAMPLE)
    assert contents(tmp_path) == {"home/thesis.txt": b"precious"}
    assert listed(tmp_path) == ["home"]


def test_progress_names_each_way_as_it_is_judged(engines, embedder, tmp_path) -> None:
    said: list[str] = []
    wanted = Wanted(precisions=("fp32", "int8"), engines=("onnxruntime",))
    found: list[Judged] = export(embedder, tmp_path / "out", wanted, SAMPLE, said.append)
    assert said == ["exporting", "ONNX Runtime fp32", "ONNX Runtime int8"]
    assert [one.way.name for one in found] == ["onnxruntime:fp32", "onnxruntime:int8"]


def test_pictures_that_cannot_be_read_are_passed_over(embedder, tmp_path) -> None:
    paths = [tmp_path / f"{number:02}.png" for number in range(20)]
    for number, path in enumerate(paths):
        if number % 3:
            draw("red", "blue").save(path)
        else:
            path.write_text("no picture")
    good = [path for number, path in enumerate(paths) if number % 3]
    assert readable(embedder, paths, 100) == good
    assert readable(embedder, paths, 5) == good[:5]
    assert readable(embedder, paths[:1], 5) == readable(embedder, [], 5) == []


def test_vectors_that_are_no_numbers_are_refused():
    nan = float("nan")
    assert exported._refused("openvino", "fp16", {"image": (1.0, 1.0), "text": (nan, nan)}, {}, 0.5)


def test_counts_of_pictures_and_sentences_may_differ():
    a, b = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[:2]
    assert exported._stay((a, b), (a, b)) == (1.0, 1.0)


def test_one_picture_is_too_few_to_judge_with(embedder, tmp_path) -> None:
    sample = Sample(calibrating=(PICTURES[:2], TEXTS[:2]), judging=(PICTURES[:1], TEXTS[:1]))
    with pytest.raises(ValueError, match="too few"):
        export(embedder, tmp_path / "out", Wanted(), sample)


def test_a_place_that_is_taken_is_refused_before_the_work(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "graph_files", lambda *_: pytest.fail("worked in vain"))
    (tmp_path / "thesis.txt").write_text("precious")
    sample = Sample(calibrating=(PICTURES[:4], TEXTS[:4]), judging=(PICTURES, TEXTS))
    with pytest.raises(ValueError, match="holds other things"):
        export(embedder, tmp_path, Wanted(), sample)


def test_pictures_judge_that_were_not_calibrated_on(embedder, rectangles_root):
    from tipr.cli.exporting import _sample

    sample = _sample(embedder, None, rectangles_root)
    assert not set(sample.calibrating[0]) & set(sample.judging[0])
