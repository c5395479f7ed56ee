"""Breakdowns of constructed evaluations: who is in which group, and what it scores."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tipr.data.pairs import Pair
from tipr.evaluation.bootstrap import bootstrapped
from tipr.evaluation.breakdown import (
    FEWEST,
    SAMPLES,
    breakdown,
    broken_down,
    by_caption,
    by_picture,
    by_rendering,
    forced_choices,
    height,
    quarters,
    scored,
)
from tipr.evaluation.records import recorded
from tipr.evaluation.rendered import Kin, rendered
from tipr.evaluation.vectors import Vectors
from tipr.evaluation.vocabulary import CLOTHES, COLOURS, clothes, colours, negated


def pair(person: int, caption: str = "someone", image: Path = Path("/d/0.png"), **more) -> Pair:
    return Pair(image, caption, person, more.pop("image_id", person), **more)


def worn(caption: str) -> dict[str, set[str]]:
    return {kind: names for kind, names in clothes(caption).items() if names}


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("A man in a long-sleeved shirt and blue jeans.",
         {"TopsCategory": {"LongSleeve"}, "TopsStyle": {"Shirt"},
          "BottomsCategory": {"Trousers"}, "BottomsStyle": {"Jeans"}}),
        ("a white T-shirt, short sleeves, grey shorts", 
         {"TopsCategory": {"ShortSleeve"}, "TopsStyle": {"Shirt"},
          "BottomsCategory": {"Shorts"}}),
        ("She wears a dress shirt, dress pants and dress shoes.",
         {"TopsStyle": {"Shirt"}, "BottomsCategory": {"Trousers"},
          "BottomsStyle": {"FormalPants"}, "ShoesCategory": {"LeatherShoes"}}),
        ("a red summer dress under a raincoat", {"TopsStyle": {"Dress", "Overcoat"}}),
        ("a yellow safety vest over a hooded sweatshirt", {"TopsStyle": {"SafetyVest", "Sweater"}}),
        ("pulling a suitcase, wearing sunglasses and a hat",
         {"BagCategory": {"Suitcase"}, "Accessory": {"Opticals", "Hat"}}),
        ("a suit jacket, sneakers and a crossbody bag",
         {"TopsStyle": {"Tailor", "Jacket"}, "ShoesCategory": {"Sneakers"},
          "BagCategory": {"ShoulderBag"}}),
        ("scarf, gloves and an umbrella",
         {"Clothing": {"Scarf", "Gloves"}, "Belonging": {"Umbrella"}}),
        ("she looks capable, addressing vestiges of bootstrapped skirting", {}),
    ],
)  # fmt: skip
def test_clothes_go_by_the_names_of_onvif(caption: str, found: dict[str, set[str]]) -> None:
    assert worn(caption) == found


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("a Navy jacket and khaki trousers", {"blue", "brown"}),
        ("grey shoes, a red-and-white scarf, an off-white top", {"gray", "red", "white"}),
        ("a tired man, covered in blues", set()),
    ],
)
def test_shades_count_as_their_basic_colour(caption: str, found: set[str]) -> None:
    assert colours(caption) == found


def test_every_word_of_the_tables_is_found_under_its_name() -> None:
    assert len(COLOURS) == 11
    for name, words in COLOURS.items():
        assert all(name in colours(f"a {word} top") for word in words.split())
    for kind, names in CLOTHES.items():
        plain = {name: words.split()[-1].replace("?", "") for name, words in names.items()}
        for name, word in plain.items():
            if not set(word) & set("([|"):
                assert name in clothes(f"the {word}.")[kind], word


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("He has no bag.", True),
        ("a woman without glasses", True),
        ("she isn't wearing a hat", True),
        ("she isn\u2019t wearing a hat", True),
        ("a man is not carrying anything", True),
        ("a notebook, a knot, nobody's note", False),
    ],
)
def test_negation_is_a_word_of_its_own(caption: str, found: bool) -> None:
    assert negated(caption) is found


def test_quarters_are_about_equal_and_named_by_their_ends() -> None:
    groups = quarters([float(n) for n in range(1, 9)], "words")
    assert groups == {"1..2 words": [0, 1], "3..4 words": [2, 3], "5..6 words": [4, 5],
                      "7..8 words": [6, 7]}  # fmt: skip
    assert quarters([5.0] * 3, "pixels") == {"5..5 pixels": [0, 1, 2]}


def test_queries_are_grouped_by_their_captions() -> None:
    groups = by_caption([
        pair(0, "a man in a black coat"), pair(1, "no coat"), pair(2, "black black"),
    ])  # fmt: skip
    assert groups["colour"]["black"] == [0, 2] and groups["colour"]["white"] == []
    assert groups["negation"] == {"negated": [1], "plain": [0, 2]}
    assert groups["TopsStyle"]["Overcoat"] == [0, 1]
    assert list(groups["caption length"].values()) == [[1, 2], [0]]


def picture(path: Path, size: tuple[int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def test_queries_are_grouped_by_their_pictures(tmp_path: Path) -> None:
    heights = (60, 120, 60, 200)
    asked = [
        pair(n, image=picture(tmp_path / f"{n}.png", (20, tall)), camera=camera)
        for n, (tall, camera) in enumerate(zip(heights, ("c10", "c2", "", "c2"), strict=True))
    ]
    groups = by_picture(asked)
    assert groups["camera"] == {"unknown": [2], "c2": [1, 3], "c10": [0]}
    assert list(groups["camera"]) == ["unknown", "c2", "c10"]
    assert groups["picture height"]["60..60 pixels"] == [0, 2]
    assert "camera" not in by_picture([replace(one, camera="") for one in asked])


def test_heights_are_read_inside_archives_too(tmp_path: Path) -> None:
    inside = picture(tmp_path / "1.png", (10, 77))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(inside, "deep/1.png")
    assert height(tmp_path / "a.tar" / "deep" / "1.png") == 77 == height(inside)


def test_a_group_of_few_people_is_counted_and_not_scored() -> None:
    torch.manual_seed(0)
    values, people = torch.rand(20, 2, dtype=torch.float64), torch.arange(20) % 5
    group = scored("colour", "red", values, people, ("R1", "mAP"))
    found = bootstrapped(values, people, SAMPLES)
    assert (group.queries, group.people) == (20, FEWEST)
    assert group.scores is not None
    assert group.scores["mAP"] == {"mean": found.mean[1].item(), "low": found.low[1].item(),
                                   "high": found.high[1].item()}  # fmt: skip
    few = scored("colour", "red", values, people.clamp(max=3), ("R1", "mAP"))
    values[people == 0] = torch.nan  # asked for, but without a match
    assert scored("colour", "red", values, people, ("R1", "mAP")).scores is None
    assert few.to_json() == {"by": "colour", "name": "red", "queries": 20, "people": 4,
                             "scores": None}  # fmt: skip


def person(number: int, tmp: Path, **line) -> tuple[list[Pair], list[dict]]:
    """Two pictures of a rendered person, each with two captions, and their annotations."""
    pairs, lines = [], []
    for shot in range(2):
        name = f"images/test/{number}_{shot}.png"
        image = picture(tmp / name, (40, 80))
        captions = [{"text": f"{number} {shot} red", "facts": ["upper_c", "lower_c"]},
                    {"text": f"{number} {shot} plain", "facts": ["sex"]}]  # fmt: skip
        lines.append({"id": number, "twin_of": None, "relation": None, "diff": None,
                      "image": name, "box": [0, 0, 40, 80], "captions": captions,
                      "visible": {"skin": 160 + 160 * shot, "leg": 640}} | line)  # fmt: skip
        pairs += [pair(number, c["text"], image, image_id=2 * number + shot) for c in captions]
    return pairs, lines


def write_rendering(root: Path, annotations: str) -> None:
    (root / "annotations.jsonl").write_text(annotations)
    for name in ("dataset.json", "identities.jsonl"):
        (root / name).write_text("{}")


@pytest.fixture
def people(tmp_path: Path) -> list[Pair]:
    """0 and 1 are twins, 2 and 3 swaps, 4 is alone, 5 a twin of somebody in another split."""
    parts = [
        person(0, tmp_path),
        person(1, tmp_path, twin_of=0, relation="twin", diff={"attr": "upper_c"}),
        person(2, tmp_path),
        person(3, tmp_path, twin_of=2, relation="swap", diff={"attr": "upper_c+lower_c"}),
        person(4, tmp_path),
        person(5, tmp_path, twin_of=99, relation="twin", diff={"attr": "bag"}),
    ]
    lines = [line for _, annotations in parts for line in annotations]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_rendering(tmp_path, text)
    return [one for pairs, _ in parts for one in pairs]


def test_what_the_renderer_knows_is_found_above_the_pictures(people: list[Pair]) -> None:
    known = rendered(people)
    assert known is not None
    assert known.kin == (Kin(0, 1, "twin", ("upper_c",)),
                         Kin(2, 3, "swap", ("upper_c", "lower_c")))  # fmt: skip
    assert known.shown(people[0].image) == 0.25 and known.shown(people[2].image) == 0.3
    assert known.told(people[0]) == {"upper_c", "lower_c"}
    groups = by_rendering(people, known)
    assert groups["visible share"] == {
        "25..25 % of the box": [n for n in range(24) if n % 4 < 2],
        "30..30 % of the box": [n for n in range(24) if n % 4 >= 2],
    }
    assert groups["near-duplicates"] == {"nobody alike": list(range(16, 24)),
                                         "has a twin": list(range(8)),
                                         "has a swap": list(range(8, 16))}  # fmt: skip


def test_kin_go_by_the_numbers_of_the_pairs(people: list[Pair]) -> None:
    known = rendered([replace(one, person_id=one.person_id + 70) for one in people])
    assert known is not None and known.kin[0] == Kin(70, 71, "twin", ("upper_c",))


def test_pictures_nobody_rendered_are_no_error_and_damage_is(people: list[Pair]) -> None:
    file = people[0].image.parents[2] / "annotations.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[1:]))
    with pytest.raises(ValueError, match=r"annotations\.jsonl does not tell of .*0_0\.png"):
        rendered(people)
    file.write_text("{}\n")
    with pytest.raises(ValueError, match=r"annotations\.jsonl is damaged"):
        rendered(people)
    (file.parent / "identities.jsonl").unlink()  # a user's own list may have the name
    assert rendered(people) is None and rendered([]) is None


def vectors(people: list[Pair], texts: torch.Tensor) -> Vectors:
    """Pictures of person k point along axis k."""
    shown = torch.tensor([p.person_id for p in {p.image_id: p for p in people}.values()])
    asked = torch.tensor([p.person_id for p in people])
    return Vectors(texts, torch.eye(6)[shown], asked, shown)


def test_a_near_duplicate_is_a_choice_of_two(people: list[Pair]) -> None:
    known, asked = rendered(people), torch.tensor([p.person_id for p in people])
    assert known is not None
    texts = torch.eye(6)[asked]
    texts[0], texts[1] = torch.eye(6)[1], torch.zeros(6)  # wrong, and a tie
    texts[8:16:2] = torch.eye(6)[asked[8:16:2]] + 9 * torch.eye(6)[4]  # others do not matter
    groups = {(g.by, g.name): g for g in forced_choices(vectors(people, texts), people, known)}
    assert {(by, name): g.queries for (by, name), g in groups.items()} == {
        ("two-way", "twin"): 8, ("two-way", "twin, mentioned"): 4,
        ("two-way", "swap"): 8, ("two-way", "swap, mentioned"): 4,
        ("two-way by attribute", "upper_c"): 8,
        ("two-way by attribute", "upper_c, mentioned"): 4,
        ("two-way by attribute", "upper_c+lower_c"): 8,
        ("two-way by attribute", "upper_c+lower_c, mentioned"): 4,
    }  # fmt: skip
    assert groups["two-way", "twin"].people == 1  # a pair counts once
    assert all(group.scores is None for group in groups.values())


def test_choices_are_scored_where_there_are_pairs_enough(tmp_path: Path) -> None:
    parts = [person(0, tmp_path)]
    for number in range(1, 12):
        twin = {"twin_of": number - 1, "relation": "twin", "diff": {"attr": "hat"}}
        parts.append(person(number, tmp_path, **(twin if number % 2 else {})))
    text = "".join(json.dumps(line) + "\n" for _, lines in parts for line in lines)
    write_rendering(tmp_path, text)
    people = [one for pairs, _ in parts for one in pairs]
    asked, known = torch.tensor([p.person_id for p in people]), rendered(people)
    assert known is not None and len(known.kin) == 6
    images = torch.eye(12)[asked[::2]]
    texts = torch.eye(12)[asked]
    texts[0], texts[1] = torch.eye(12)[1], torch.zeros(12)
    found = forced_choices(Vectors(texts, images, asked, asked[::2]), people, known)
    assert [(g.by, g.name) for g in found] == [("two-way", "twin"), ("two-way by attribute", "hat")]
    assert found[0].scores is not None
    assert found[0].scores["right"]["mean"] == pytest.approx(46.5 / 48)


def test_a_record_is_broken_down_in_its_own_order(people: list[Pair]) -> None:
    torch.manual_seed(0)
    made = recorded(vectors(people, torch.rand(24, 6)), people, {})
    known = rendered(people)
    found = {(g.by, g.name): g for g in breakdown(made, people[::-1], known=known)}
    red = [n for n, one in enumerate(people) if "red" in one.caption]
    group = found["colour", "red"]
    assert (group.queries, group.people) == (12, 6) and group.scores is not None
    assert group.scores["mAP"]["mean"] == pytest.approx(made.values[red, 3].mean().item())
    assert found["near-duplicates", "has a swap"].scores is None
    assert ("colour", "blue") not in found
    with pytest.raises(ValueError, match="are not the 24 queries"):
        breakdown(made, people[1:])


def test_near_duplicates_are_left_out_where_cameras_count(people: list[Pair]) -> None:
    plain = vectors(people, torch.eye(6)[[p.person_id for p in people]])
    cameras = replace(plain, asked_by=torch.zeros_like(plain.asked),
                      shown_by=torch.ones_like(plain.shown))  # fmt: skip
    kinds = [
        {group.by for group in broken_down(recorded(v, people, {}), v, people)}
        for v in (plain, cameras)
    ]
    assert "two-way" in kinds[0] and "two-way" not in kinds[1]
    assert kinds[1] == kinds[0] - {"two-way", "two-way by attribute"}
