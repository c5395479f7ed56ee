"""Evaluations on disk: what they keep, that they come back whole, and that damage is named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tipr.data.pairs import Pair
from tipr.data.readers import read_dataset
from tipr.evaluation import records
from tipr.evaluation.evaluate import evaluate
from tipr.evaluation.experiment import experiment_facts
from tipr.evaluation.naming import digest, query_keys, split_digests
from tipr.evaluation.records import (
    Record,
    RecordError,
    aligned,
    read_record,
    record,
    recorded,
    write_record,
)
from tipr.evaluation.vectors import Vectors
from tipr.experiments import clip_sdm


def pairs(people: int = 3, root: str = "/data") -> list[Pair]:
    """Two pictures of each, with a caption each; the last person has a third caption."""
    rows = [
        Pair(Path(root, "test", f"{person}_{shot}.png"), f"caption {person} {shot}", person,
             image_id=2 * person + shot)
        for person in range(people) for shot in range(2)
    ]  # fmt: skip
    return [*rows, replace(rows[-1], caption="once more")]


def vectors(of: list[Pair]) -> Vectors:
    torch.manual_seed(0)
    shown = torch.tensor([p.person_id for p in {p.image_id: p for p in of}.values()])
    texts, images = (F.normalize(torch.randn(n, 6)) for n in (len(of), len(shown)))
    return Vectors(texts, images, torch.tensor([p.person_id for p in of]), shown)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    write_record(recorded(vectors(pairs()), pairs(), {"model": "m"}), tmp_path / "saved")
    return tmp_path / "saved"


def same(one: Record, other: Record) -> bool:
    tensors = ("person_ids", "values", "ranks", "scores", "others")
    texts = ("keys", "captions", "people")
    return all(
        torch.equal(getattr(one, n), getattr(other, n)) for n in tensors
    ) and all(getattr(one, n) == getattr(other, n) for n in texts)  # fmt: skip


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    made = recorded(vectors(pairs()), pairs(), {"model": "m", "seed": 3}, person=lambda i: f"p{i}")
    file = write_record(made, tmp_path / "new" / "record")
    back = read_record(tmp_path / "new" / "record")
    assert same(back, made) and back.people[-1] == "p2"
    assert {k: back.facts[k] for k in made.facts} == made.facts
    assert back.metrics == made.metrics
    assert json.loads(file.read_text())["metrics"]["R1"] == made.metrics.R1


def test_ranks_and_scores_are_those_of_the_loops() -> None:
    torch.manual_seed(1)
    asked, shown = torch.tensor([1, 2, 3, 9]), torch.tensor([2, 1, 1, 3, 2])
    images = torch.tensor([0.5, 0.25, 0.5, -0.5, 0.5])[:, None]  # scores, as every text is 1
    fared = Vectors(torch.ones(4, 1), images, asked, shown).fared()
    assert fared.ranks.tolist() == [2, 1, 5, 0]  # 0.5 stands before 0.5 in the gallery
    assert fared.own[:3].tolist() == [0.5, 0.5, -0.5] and fared.own[3].isnan()
    assert fared.others.tolist() == [0.5] * 4
    alone = Vectors(torch.ones(1, 1), images[:1], asked[1:2], shown[:1]).fared()
    assert alone.ranks.tolist() == [1] and alone.others.isnan().all()


def test_the_metrics_are_those_of_the_evaluation(embedder, rectangles_root) -> None:
    data = read_dataset(rectangles_root)
    made = record(embedder, data.test, data="rectangles", split="test", person=data.person,
                  made_with={"commit": "abc", "command": "tipr eval"})  # fmt: skip
    expected = evaluate(embedder, data.test).t2i
    assert made.metrics == expected and made.facts["metrics"] == expected.to_json()
    facts = made.facts
    assert (facts["model"], facts["fingerprint"]) == ("untrained", embedder.fingerprint)
    assert (facts["queries"], facts["gallery"], facts["people"]) == (24, 12, 6)
    assert (facts["commit"], facts["command"], facts["split"]) == ("abc", "tipr eval", "test")
    assert facts["date"].endswith("+00:00")
    assert ((made.ranks == 1) == (made.values[:, 0] == 1)).all()
    with pytest.raises(ValueError, match="split is empty"):
        record(embedder, [])


def test_a_split_has_one_name_wherever_it_lies_and_however_it_is_read() -> None:
    here, there = pairs(), pairs(root="/elsewhere/deep")[::-1]
    assert split_digests(here) == split_digests(there)
    assert set(query_keys(here)) == set(query_keys(there))


@pytest.mark.parametrize(
    ("change", "unlike"),
    [
        (lambda p: [*p[:-1], replace(p[-1], caption="another")], {"captions", "queries"}),
        (lambda p: [replace(q, person_id=7) if q.person_id == 2 else q for q in p],
         {"gallery", "queries"}),
        (lambda p: [replace(p[0], caption=p[1].caption), replace(p[1], caption=p[0].caption),
                    *p[2:]], {"queries"}),
        (lambda p: p[:-3], {"gallery", "captions", "queries"}),
    ],
    ids=["a caption", "a person", "exchanged", "fewer"],
)  # fmt: skip
def test_what_differs_between_splits_is_told_apart(change, unlike) -> None:
    one, other = split_digests(pairs()), split_digests(change(pairs()))
    assert {name for name in one if one[name] != other[name]} == unlike


def test_pairs_are_brought_into_the_order_of_the_queries() -> None:
    made = recorded(vectors(pairs()), pairs(), {})
    assert aligned(made, pairs()[::-1]) == pairs()
    with pytest.raises(ValueError, match="are not the 7 queries"):
        aligned(made, pairs()[1:])


def test_a_second_evaluation_takes_the_place_of_the_first(saved: Path) -> None:
    (saved / "notes.txt").write_text("mine")
    made = recorded(vectors(pairs(4)), pairs(4), {"model": "other"})
    write_record(made, saved)
    assert same(read_record(saved), made)
    assert len(list(saved.glob("*.npz"))) == 1 and (saved / "notes.txt").exists()


def test_a_full_disk_leaves_the_first_evaluation_whole(saved: Path, monkeypatch) -> None:
    before, put = read_record(saved), records.put

    def full(file: Path, data: bytes) -> None:
        if file.suffix == ".json":
            raise OSError(28, "No space left on device")
        put(file, data)

    monkeypatch.setattr(records, "put", full)
    with pytest.raises(OSError, match=r"could not be written to .* free some disk space"):
        write_record(recorded(vectors(pairs(4)), pairs(4), {}), saved)
    assert same(read_record(saved), before)


def test_an_evaluation_that_is_not_there_is_said_how_to_make(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"there is no evaluation in .*--save"):
        read_record(tmp_path)


def test_arrays_that_are_gone_or_changed_are_named(saved: Path) -> None:
    arrays = next(saved.glob("*.npz"))
    arrays.write_bytes(arrays.read_bytes()[:-9])
    with pytest.raises(RecordError, match=r"queries-\w+\.npz is damaged .* evaluate again"):
        read_record(saved)
    arrays.unlink()
    with pytest.raises(RecordError, match="is damaged"):
        read_record(saved)


def rewritten(saved: Path, **arrays: np.ndarray) -> None:
    """The evaluation with some arrays replaced, its digest put right."""
    old = next(saved.glob("*.npz"))
    with np.load(old) as opened:
        np.savez(saved / "new.npz", **({name: opened[name] for name in opened} | arrays))
    name = f"queries-{hashlib.sha256((saved / 'new.npz').read_bytes()).hexdigest()[:16]}.npz"
    (saved / "new.npz").rename(saved / name)
    facts = json.loads((saved / "evaluation.json").read_text())
    (saved / "evaluation.json").write_text(json.dumps(facts | {"arrays": name}))


@pytest.mark.parametrize(
    "arrays",
    [
        {"values": np.zeros((6, 5))},
        {"values": np.zeros((7, 4))},
        {"values": np.zeros(7)},
        {"ranks": np.zeros(7)},
        {"keys": np.array([{"a": 1}] * 7, dtype=object)},
    ],
    ids=["rows", "columns", "flat", "kind", "objects"],
)
def test_arrays_of_another_shape_or_kind_are_refused(saved: Path, arrays) -> None:
    rewritten(saved, **arrays)
    with pytest.raises(RecordError, match="is damaged"):
        read_record(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "is damaged"),
        ('{"format": 99}', "has format 99, this tipr reads 1"),
        ('{"format": 1, "arrays": "../x.npz", "queries": 1, "gallery": 1, "columns": [], '
         '"digests": {}}', "not beside it"),
        ('{"format": 1, "arrays": "x.npz", "queries": "1", "gallery": 1, "columns": [], '
         '"digests": {}}', "another type"),
    ],
)  # fmt: skip
def test_facts_that_are_damaged_are_named(saved: Path, text: str, message: str) -> None:
    (saved / "evaluation.json").write_text(text)
    with pytest.raises(RecordError, match=rf"evaluation\.json .*{message}"):
        read_record(saved)


def test_seeds_of_an_experiment_share_their_digest(tmp_path: Path) -> None:
    base = clip_sdm.tiny()
    base = replace(base, data=replace(base.data, root=Path("/there/people")))

    def facts(name: str, **changes) -> dict:
        (tmp_path / name / "best").mkdir(parents=True)
        changed = replace(base, **changes)
        (tmp_path / name / "experiment.json").write_text(changed.to_json())
        return experiment_facts(tmp_path / name / "best")

    first = facts("a", data=replace(base.data, root=Path("/here/people"), workers=4))
    second = facts("b", seed=1)
    other = facts("c", optim=replace(base.optim, lr=1.0))
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["experiment"] == second["experiment"] != other["experiment"]
    elsewhere = facts("d", data=replace(base.data, root=Path("/there/others")))
    assert elsewhere["experiment"] != first["experiment"]
    assert first["experiment"]["method"] == type(base.method).__name__
    taught = [facts(f"t{n}", init_from=f"runs/teacher/seed-{n}", seed=n) for n in range(2)]
    assert taught[0]["experiment"] == taught[1]["experiment"] != first["experiment"]


def test_a_model_without_a_run_or_with_a_damaged_one_tells_nothing(tmp_path, monkeypatch) -> None:
    assert experiment_facts(tmp_path) == {}
    for damaged in ("{", "[]", '{"seed": 1, "method": {"is": "m"}}'):
        (tmp_path / "experiment.json").write_text(damaged)
        assert experiment_facts(tmp_path) == {}
    (tmp_path / "experiment.json").write_text(clip_sdm.tiny().to_json())
    monkeypatch.chdir(tmp_path)  # what lies here is not of models that lie nowhere
    assert experiment_facts("") == {} == experiment_facts("shipped:small")


def test_best_and_last_are_no_seeds_of_one_experiment(tmp_path: Path) -> None:
    for seed in (0, 1):
        for model in ("best", "last"):
            (tmp_path / str(seed) / model).mkdir(parents=True)
        settings = replace(clip_sdm.tiny(), seed=seed).to_json()
        (tmp_path / str(seed) / "experiment.json").write_text(settings)

    def told(name: str) -> str:
        return experiment_facts(tmp_path / name)["experiment"]["digest"]

    assert told("0/best") == told("1/best") == told("0") != told("0/last") == told("1/last")


def test_only_what_a_run_learned_from_may_differ_in_its_seed(tmp_path: Path) -> None:
    def told(root: str, richer: str, table: str) -> str:
        settings = json.loads(clip_sdm.tiny().to_json())
        settings["data"] |= {"root": root, "batching": {"is": "B", "table": table}}
        settings["method"]["richer"] = richer
        (tmp_path / "experiment.json").write_text(json.dumps(settings))
        return experiment_facts(tmp_path)["experiment"]["digest"]

    first = told("/d/synth", "out/t/seed-0", "out/t/seed-0/words.json")
    assert first == told("/d/synth", "out/t/seed-1", "out/t/seed-1/words.json")
    assert first != told("/d/synth", "out/u/seed-0", "out/t/seed-0/words.json")
    assert told("/d/synth-seed7", "", "") != told("/d/synth-seed8", "", "")


def test_other_files_of_the_folder_stay(saved: Path) -> None:
    (saved / "queries-mine.npz").write_bytes(b"mine")
    write_record(recorded(vectors(pairs(4)), pairs(4), {}), saved)
    assert (saved / "queries-mine.npz").read_bytes() == b"mine"
    assert len(list(saved.glob("queries-*.npz"))) == 2


def test_a_record_of_other_cameras_leaves_out_what_their_own_saw() -> None:
    asked = torch.tensor([0, 0, 1])
    images = torch.tensor([0.9, 0.5, 0.7, 0.3])[:, None]  # scores, as every text is 1
    shown, cameras = torch.tensor([0, 0, 1, 0]), torch.tensor([0, 1, 0, 1])
    of = [
        Pair(Path(f"/d/{n}.png"), f"c{n}", int(person), image_id=n)
        for n, person in enumerate(asked)
    ]  # fmt: skip
    counted = recorded(
        Vectors(torch.ones(3, 1), images, asked, shown, torch.tensor([0, 1, 0]), cameras), of, {}
    )
    everything = recorded(Vectors(torch.ones(3, 1), images, asked, shown), of, {})
    assert everything.ranks.tolist() == [1, 1, 2]
    assert counted.ranks.tolist() == [2, 1, 0]  # 0.7, 0.5, 0.3 are left of 0's first caption
    assert counted.scores[:2].tolist() == pytest.approx([0.5, 0.9]) and counted.scores[2].isnan()
    assert everything.scores.tolist() == pytest.approx([0.9, 0.9, 0.7])
    assert counted.values[:2, 0].tolist() == [0, 1] and counted.values[2].isnan().all()
    assert (counted.facts["cameras"], counted.facts["digests"]["cameras"]) == ("other", "other")
    assert everything.facts["digests"]["cameras"] == "all"


def test_digests_tell_texts_apart_however_they_are_cut() -> None:
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("ab", "c") == digest("ab", "c")


def test_shards_have_the_names_of_their_unpacked_folder() -> None:
    packed, unpacked = (
        [Pair(Path("/d", folder.format(n // 2), f"{n}.png"), f"c{n}", n, n) for n in range(4)]
        for folder in ("{:03}.tar/images", "images")
    )
    assert split_digests(packed) == split_digests(unpacked)
    assert query_keys(packed) == query_keys(unpacked)
