"""The demo: what it may delete, and which answers it calls right."""

from __future__ import annotations

import pytest

from tipr.cli.demo import QUESTIONS, _cleared, demo


def person(**other: object) -> dict[str, object]:
    plain = {
        "sex": "male", "upper": "shirt", "upper_c": "white", "outer": "none", "outer_c": "red",
        "lower": "jeans", "lower_c": "denim", "shoes": "sneakers", "shoe_c": "white",
        "bag": "none", "carry": "none",
    }  # fmt: skip
    return {**plain, **other}


def test_a_folder_with_other_contents_is_left_alone(tmp_path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="holds other files"):
        demo(out=tmp_path)
    assert (tmp_path / "people" / "mine.txt").read_text() == "precious"


def test_an_earlier_demo_is_made_again(tmp_path) -> None:
    _cleared(tmp_path / "demo")
    (tmp_path / "demo" / "people").mkdir()
    _cleared(tmp_path / "demo")
    assert not (tmp_path / "demo" / "people").exists()


def test_the_colour_of_a_covered_garment_does_not_count() -> None:
    red_top = QUESTIONS[0]
    assert not red_top.fits(person())
    assert red_top.fits(person(upper_c="red"))
    assert red_top.fits(person(outer="coat", outer_c="red"))
    assert not red_top.fits(person(upper_c="red", outer="coat", outer_c="blue"))


def test_everything_the_sentence_asks_for_must_be_there() -> None:
    whites = QUESTIONS[3]
    assert whites.fits(person())
    assert not whites.fits(person(shoe_c="black"))
    assert not whites.fits(person(lower="shorts"))


def test_the_demo_answers_five_sentences_and_draws_a_page(tmp_path, capsys) -> None:
    demo(out=tmp_path / "demo", people=12, images=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("24 pictures of 12 people")
    assert sum(line.startswith('"') for line in lines) == len(QUESTIONS) == 5
    assert lines[-1] == str(tmp_path / "demo" / "answers.png")
    assert (tmp_path / "demo" / "answers.png").stat().st_size > 10_000
