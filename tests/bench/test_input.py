"""The input's rates are told apart, compared in rounds, and judged in words."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest
import torch
from PIL import Image

from tipr.bench import input as bench
from tipr.bench.input import STAGES, Feed, in_rounds, measure, photographs, table, verdict
from tipr.cli.bench_data import data as command
from tipr.data import batching
from tipr.data.batching import Drawn, Prepared
from tipr.data.pairs import Batch, Pair
from tipr.data.readers import read_dataset

RATES = {"decode": 500.0, "augment": 900.0, "words": 20_000.0,
         "decoding": 400.0, "kept": 1000.0, "model": 600.0}  # fmt: skip
FEED = Feed(batch=64, workers=2, cores=8, on_cpu=False, pictures=34_054, cache=4 << 30,
            needed_cache=10 << 30, rates=RATES, ratios=dict.fromkeys(RATES, 1.0))  # fmt: skip


def at(model: float, **changes) -> Feed:
    return replace(FEED, rates={**RATES, "model": model}, **changes)


def test_a_model_waits_for_what_workers_cannot_hide() -> None:
    assert at(300).waits("decoding") == 0
    assert at(800).waits("decoding") == pytest.approx(0.5)
    assert at(800).waits("kept") == 0


@pytest.mark.parametrize("changes", [{"workers": 0}, {"on_cpu": True}])
def test_without_another_processor_preparing_always_costs_time(changes) -> None:
    assert at(400, **changes).waits("decoding") == pytest.approx(0.5)
    assert at(250, **changes).waits("kept") == pytest.approx(0.2)


def test_each_worker_is_taken_to_add_what_one_does_now() -> None:
    assert at(2000).enough_workers("decoding") == 9  # 1800 images/s, 200 each
    assert at(2000, workers=0).enough_workers("decoding") == 5
    assert at(10).enough_workers("decoding") == 1


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        (at(200), "Fed: with 2 workers 400 images/s are ready, each of them decoded; the model "
                  "takes 200 and waits 0% of the time."),
        (at(800), "Starved until pictures are kept decoded: with 2 workers 400 images/s are ready "
                  "before and 1,000 after that; the model takes 800 and waits 50% of the time at "
                  "first; data.cache=10737418240 would have room for all 34,054 here; "
                  "data.workers=4 would feed it."),
        (at(800, needed_cache=1 << 30, cores=3),
                  "Starved until pictures are kept decoded: with 2 workers 400 images/s are ready "
                  "before and 1,000 after that; the model takes 800 and waits 50% of the time at "
                  "first; data.cache has room for all 34,054 here; feeding it would take 4 workers,"
                  " and there are 3 cores."),
        (at(3000, workers=1), "Starved: with 1 worker 1,000 images/s are ready, even of pictures "
                              "that are kept decoded; the model takes 3,000 and waits 67% of the "
                              "time; data.workers=3 would feed it."),
        (at(1000, workers=0, on_cpu=True),
                  "Starved: with no workers 1,000 images/s are ready, even of pictures that are "
                  "kept decoded; the model takes 1,000 and waits 50% of the time; more workers "
                  "would not feed it, since it computes on the same cores."),
    ],
)  # fmt: skip
def test_the_verdict_is_one_sentence_with_what_would_help(feed, told) -> None:
    assert verdict(feed) == told


def test_the_table_has_every_stage() -> None:
    lines = table(FEED).splitlines()
    assert lines[2] == "| read, decode, resize | 1 | 500 | 1.00 |"
    assert lines[5] == "| whole batches, every picture decoded | 2 | 400 | 1.00 |"
    assert len(lines) == 2 + len(STAGES)


def test_every_round_begins_with_another_stage_and_the_first_does_not_count() -> None:
    asked: list[str] = []

    def work(name: str):
        def seconds() -> float:
            asked.append(name)
            return float(len(asked))

        return seconds

    taken = in_rounds({name: work(name) for name in "abc"}, 2)
    assert "".join(asked) == "abcbcacab"
    assert taken == {"a": [6.0, 8.0], "b": [4.0, 9.0], "c": [5.0, 7.0]}


class Slow(Prepared):
    """Batches that take 30 ms, and workers that take 300 ms to begin."""

    begun = False

    def __getitem__(self, drawn: Drawn) -> Batch:
        time.sleep(0.03 if self.begun else 0.33)
        self.begun = True
        return self.batcher([])


def _nothing(pairs: Sequence[Pair]) -> Batch:
    return cast(Batch, 0)


@pytest.mark.parametrize(("workers", "expected"), [(0, 0.03), (2, 0.015)])
def test_the_start_of_workers_is_not_part_of_their_pace(workers, expected) -> None:
    work = bench._flowing(Slow([], _nothing), [Drawn(0, [])] * 8, workers)
    if not workers:
        work()  # the round that is not counted
    assert expected * 0.8 < work() < expected * 1.6


def test_decoding_is_measured_where_it_is_wanted_only(rectangles_root, monkeypatch) -> None:
    opened: list[object] = []
    opens = batching.open_image
    monkeypatch.setattr(batching, "open_image", lambda path: opened.append(path) or opens(path))
    told: dict[str, int] = {}

    def once(works, rounds):
        for name, work in works.items():
            before = len(opened)
            work()
            told[name] = len(opened) - before
        return {name: [2.0 if name == "model" else 1.0] for name in works}

    monkeypatch.setattr(bench, "in_rounds", once)
    feed = measure("clip:tiny", rectangles_root, device="cpu")
    pairs = read_dataset(rectangles_root).train
    assert told.pop("decode") == told.pop("decoding") == 4 * feed.batch
    assert set(told) == {"augment", "words", "kept", "model"} and not any(told.values())
    assert feed.batch == 16 and feed.rates["model"] == 8 and feed.rates["kept"] == 16
    assert feed.ratios["kept"] == 2 and feed.ratios["model"] == 1 and feed.on_cpu
    assert feed.pictures == len({pair.image for pair in pairs})
    assert feed.needed_cache == feed.pictures * 3 * 64 * 32 and feed.cache == 4 << 30


def test_made_up_photographs_are_jpegs_that_a_reader_finds(tmp_path) -> None:
    found = read_dataset(photographs(tmp_path / "data", 6))
    pairs = (*found.train, *found.val)
    images = {pair.image for pair in pairs}
    assert len(images) == 12 and len(pairs) == 24
    assert {path.name for path in images} == {p.name for p in (tmp_path / "data/images").iterdir()}
    with Image.open(min(images)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (110, 280))


def test_the_command_prints_a_table_or_json(capsys) -> None:
    torch.manual_seed(0)
    command("clip:tiny", workers=1, rounds=1, device="cpu", as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["workers"] == 1 and facts["rates"].keys() == facts["ratios"].keys() == set(STAGES)
    assert min(facts["rates"].values()) > 0 and facts["ratios"]["model"] == 1
    assert facts["needed_cache"] == facts["pictures"] * 3 * 64 * 32
    assert facts["waits"].keys() == {"decoding", "kept"} and "hardware" in facts
    command("clip:tiny", rounds=1, device="cpu")
    told = capsys.readouterr().out
    assert "`clip:tiny`, batches of 16, 1 rounds" in told
    assert told.splitlines()[-1].startswith(("Fed", "Starved"))


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"workers": -1}])
def test_numbers_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="--rounds is at least 1 and --workers at least 0"):
        measure("clip:tiny", device="cpu", **wrong)
