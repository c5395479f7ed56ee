"""The teacher's run says how it was trained, and a student that assumes otherwise is told so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tipr.data.bpe import BytePairs
from tipr.data.text import Tokenizer
from tipr.data.tokenizers import read_tokenizer
from tipr.experiments import lcr2s
from tipr.experiments.clip import TINY
from tipr.methods.lcr2s import LCR2S, LCR2SConfig, RicherConfig
from tipr.methods.richer_run import digest
from tipr.training.experiment import changed

TEACHER = RicherConfig(temperature=0.05)


def recorded(folder: Path, teacher: RicherConfig = TEACHER, **encoder) -> str:
    """A run of this teacher, with its record."""
    torch.save({"method": teacher.build(TINY.build(), 4).state_dict()}, folder / "last.pt")
    experiment = replace(lcr2s.richer_tiny(), method=teacher, encoder=replace(TINY, **encoder))
    (folder / "experiment.json").write_text(experiment.to_json(), encoding="utf-8")
    return str(folder)


def learner(run: str, teacher: RicherConfig = TEACHER) -> LCR2S:
    encoder = TINY.build()
    encoder.word_ids = range(4, read_tokenizer("own", 64).vocabulary)
    return LCR2SConfig(richer=run, teacher=teacher).build(encoder, 4)


@pytest.mark.parametrize(
    ("trained", "mine", "says"),
    [({"heads": 4}, {}, "heads is 8 here, but .* with 4"),
     ({"fusion": "max"}, {"fusion": "mean"}, "fusion is mean here, but .* with max"),
     ({"anchor": False}, {}, "anchor is true here, but .* with false"),
     ({"feedforward": True}, {}, "feedforward is false here, but .* with true"),
     ({"alignment": "cmpm"}, {}, "alignment is sdm here, but .* with cmpm")],
)  # fmt: skip
def test_a_teacher_that_was_configured_otherwise_is_refused_with_what_to_set(
    tmp_path, trained, mine, says
) -> None:
    run, mine = recorded(tmp_path, replace(TEACHER, **trained)), replace(TEACHER, **mine)
    with pytest.raises(ValueError, match=rf"method\.teacher\.{says}") as told:
        learner(f"{run}/last.pt", mine)
    field, _, value = str(told.value).rpartition("--set ")[2].rstrip("`").partition("=")
    method = replace(lcr2s.tiny().method, teacher=mine)
    again = changed(replace(lcr2s.tiny(), method=method), field, value)
    assert learner(run, again.method.teacher).teacher is not None


def test_a_teacher_may_have_had_other_slots_and_supports(tmp_path) -> None:
    run = recorded(tmp_path, replace(TEACHER, slots=1, supports="forward"))
    assert learner(run).teacher is not None


def test_a_teacher_with_another_encoder_is_refused(tmp_path) -> None:
    run = recorded(tmp_path, heads=2)
    with pytest.raises(ValueError, match=r"encoder\.heads is 4 here, .*`--set encoder\.heads=2`"):
        learner(run)
    file = tmp_path / "experiment.json"
    other = file.read_text(encoding="utf-8").replace("CompactConfig", "CLIPConfig")
    file.write_text(other, encoding="utf-8")
    with pytest.raises(ValueError, match=r"CompactConfig here.*CLIPConfig; choose an experiment"):
        learner(run)


def test_a_teacher_that_read_other_pieces_of_words_is_refused(tmp_path) -> None:
    run = recorded(tmp_path)
    (tmp_path / "best").mkdir()
    Tokenizer(BytePairs([("a", "t</w>")])).save(tmp_path / "best")
    with pytest.raises(ValueError, match=r"data\.tokenizer gives \d+ .* with 513; .*best`"):
        learner(run)


def test_a_run_of_another_method_is_no_teacher(tmp_path) -> None:
    run = recorded(tmp_path)
    (tmp_path / "experiment.json").write_text(lcr2s.tiny().to_json(), encoding="utf-8")
    with pytest.raises(ValueError, match="a run of LCR2SConfig, not of a richer model"):
        learner(run)
    (tmp_path / "experiment.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"experiment\.json cannot be read"):
        learner(run)


def test_a_digest_names_every_weight(tmp_path) -> None:
    student = learner(recorded(tmp_path))
    teacher = student.teacher
    assert teacher is not None and student.learned_from.equal(digest(teacher))
    assert student.state_dict()["learned_from"].equal(digest(teacher))
    for name, value in teacher.state_dict().items():
        first = (0,) * value.ndim
        before = value[first].item()
        value[first] += 1
        assert not digest(teacher).equal(student.learned_from), name
        value[first] = before
    assert digest(teacher).equal(student.learned_from)


def test_a_state_of_another_teacher_is_refused_whatever_else_fits(tmp_path) -> None:
    run = recorded(tmp_path)
    state = learner(run).state_dict()
    learner(run).load_state_dict(state)
    recorded(tmp_path)  # new weights at the same path
    with pytest.raises(ValueError, match="not the one that this run began with; put that one back"):
        learner(run).load_state_dict(state)
