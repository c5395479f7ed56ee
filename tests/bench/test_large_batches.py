"""A table of peak memory, and that what it promises is so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tipr.bench.large_batches import Peak, peaks, table, ways
from tipr.bench.memory import measured, peak_memory
from tipr.bench.subjects import made_up
from tipr.cli.bench_memory import memory

CPU = torch.device("cpu")
MIB = 1 << 20


def test_a_few_rows_at_a_time_need_a_part_of_the_memory(tmp_path) -> None:
    root, batch = made_up(tmp_path / "data", 512), 512
    found = [
        peak_memory("clip:tiny", root, batch, tmp_path, CPU, changes)
        for changes in ((), ("optim.chunk=32",))
    ]
    assert found[1] < 0.6 * found[0]
    assert found[0] > 50 * MIB


def test_every_way_is_measured_at_every_size(monkeypatch) -> None:
    asked = []

    def peak(name, root: Path, batch, folder, device, changes) -> int:
        asked.append((batch, changes))
        if batch == 16 and not changes:
            raise RuntimeError("no memory")
        return batch * MIB

    monkeypatch.setattr("tipr.bench.large_batches.peak_memory", peak)
    announced = []
    found = list(
        peaks("clip:tiny", (8, 16), 4, device="cpu", announce=lambda *p: announced.append(p))
    )
    assert asked == [(batch, way) for batch in (8, 16) for way in ways(4).values()]
    assert len(announced) == 8 and announced[1] == ("recompute", 8)
    assert table(found).splitlines() == [
        "| batch | plain | recompute | chunks of 4 | both, 4 |",
        "|---|---|---|---|---|",
        "| 8 | 8 | 8 | 8 | 8 |",
        "| 16 | failed | 16 | 16 | 16 |",
    ]
    assert found[4] == Peak(way="plain", batch=16, memory=None, reason="no memory")


def test_changes_reach_the_step(monkeypatch, tmp_path) -> None:
    seen = []

    def noted(state, batch, config) -> None:
        blocks = [part for part in state.method.modules() if hasattr(part, "recompute")]
        seen.append((config.chunk, frozenset(block.recompute for block in blocks)))

    monkeypatch.setattr("tipr.bench.subjects.train_step", noted)
    root = made_up(tmp_path / "data", 8)
    measured("clip:tiny", root, 8, tmp_path, CPU, ("optim.chunk=3", "optim.recompute=blocks"))
    assert set(seen) == {(3, frozenset({"blocks"}))}


@pytest.mark.parametrize(("batches", "chunk"), [((), 4), ((2,), 4), ((8,), 0)])
def test_impossible_sizes_are_refused(batches, chunk) -> None:
    with pytest.raises(ValueError, match="at least"):
        next(peaks("clip:tiny", batches, chunk))


def test_the_command_prints_a_table_or_json(monkeypatch, capsys) -> None:
    def three(name, sizes, chunk, *_):
        yield Peak(way="plain", batch=sizes[0], memory=3 * MIB)
        yield Peak(way="plain", batch=sizes[1], memory=None, reason="no memory")

    monkeypatch.setattr("tipr.bench.large_batches.peaks", three)
    memory("clip:tiny", batches="8, 16", device="cpu")
    said = capsys.readouterr()
    assert "| 8 | 3 |" in said.out and "`clip:tiny`" in said.out
    assert "plain, batch 16: no memory" in said.err
    memory("clip:tiny", batches="8,16", device="cpu", as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["peaks"][0] == {"way": "plain", "batch": 8, "memory": 3 * MIB, "reason": ""}
    with pytest.raises(ValueError, match="numbers with commas"):
        memory("clip:tiny", batches="many")
