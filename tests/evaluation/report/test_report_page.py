"""The report as a browser and a reader find it: whole, self-contained, escaped, and true."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pages import FACTS, Node, found, noise, people, rows, section, tree, vectors
from PIL import Image

from tipr.data.pairs import Dataset
from tipr.embedder import Embedder
from tipr.evaluation.bootstrap import bootstrapped
from tipr.evaluation.evaluate import Unread, evaluate
from tipr.evaluation.report import ranklists, write_report
from tipr.evaluation.report.contents import contents
from tipr.evaluation.report.page import TALL, WIDE, _small, page, write
from tipr.evaluation.vectors import Vectors


def test_the_page_is_whole_and_asks_for_nothing_outside(written: str) -> None:
    root = tree(written)
    assert written.startswith("<!DOCTYPE html>")
    ids = [node.attrs["id"] for node in root.all() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    head = root.all("head")[0]
    policy = next(m for m in head.all("meta") if "http-equiv" in m.attrs)
    assert policy.attrs == {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    }
    assert not root.all("script", "link", "iframe", "object", "embed", "base", "form")
    for node in root.all():
        for name, value in node.attrs.items():
            assert not name.startswith("on") and "url(" not in str(value)
            if name == "src":
                assert str(value).startswith("data:image/jpeg;base64,")
            if "href" in name:
                assert str(value).startswith("#") and str(value)[1:] in ids
    style = root.all("style")[0].text
    assert "url(" not in style and "@import" not in style
    assert "http:" not in written and "https:" not in written


def test_the_page_can_be_read_without_seeing_it(written: str) -> None:
    root = tree(written)
    assert root.all("html")[0].attrs["lang"] == "en"
    drawings = root.all("svg")
    assert len(drawings) > 5
    for svg in drawings:
        first = svg.parts[0]
        assert isinstance(first, Node) and first.tag == "title" and first.text
        assert svg.attrs["role"] == "img"
    for figure in root.all("figure"):
        assert figure.all("desc")[0].text and figure.all("table")
    for table in root.all("table"):
        assert table.all("caption")[0].text
        assert table.all("th") and all(th.attrs["scope"] in ("row", "col")
                                       for th in table.all("th"))  # fmt: skip
    assert root.all("img") and all(img.attrs["alt"] for img in root.all("img"))


def test_the_numbers_are_those_of_the_evaluation(
    written: str, tmp_path: Path, embedder: Embedder, dataset: Dataset
) -> None:
    told = rows(section(written, "numbers"))
    truth = evaluate(embedder, dataset.test)
    for label, name in (("R@1", "R1"), ("R@5", "R5"), ("R@10", "R10"), ("mAP", "mAP"),
                        ("mAP, trapezoid", "mAP_trapezoid"), ("mINP", "mINP"),
                        ("R-precision", "R_precision")):  # fmt: skip
        both = [100 * getattr(way, name) for way in (truth.t2i, truth.i2t)]
        assert [cell.split(" (")[0] for cell in told[label][:2]] == [f"{v:.2f}" for v in both]
    record = write_report(tmp_path / "again.html", embedder, dataset)
    assert record.metrics == truth.t2i
    around = bootstrapped(record.values, record.person_ids)
    low, high = 100 * around.low[3], 100 * around.high[3]
    assert told["mAP"][0].endswith(f"({low:.2f} to {high:.2f})")
    assert told["R@1 by chance"][0] == f"{100 * 2 / 16:.2f}"
    made = rows(section(written, "made"))
    assert made["model"] == ["untrained"] and made["hardware"] == ["a <slow> machine"]
    assert made["fingerprint of the model"] == [embedder.fingerprint]
    assert made["commit"] == ["abc"] and made["captions"] == ["32"]
    assert made["calibrated on"] == ["val (24 captions)"]


def test_the_same_contents_give_the_same_page(
    tmp_path: Path, embedder: Embedder, dataset: Dataset
) -> None:
    for name in "ab":
        write_report(tmp_path / name, embedder, dataset, made_with={"date": "today"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_others_wrote_comes_out_as_text(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script> \x00\u202e\ud800 & </blockquote> {{ 7 * 7 }}"
    noise(tmp_path / "<b>'\"x.png")
    pairs = tuple(
        replace(p, caption=f"{bad} {p.caption}", camera="<i onload=x>",
                image=tmp_path / "<b>'\"x.png")
        for p in people(tmp_path, range(6))
    )  # fmt: skip
    facts = {**FACTS, "model": "</title><script>", "data": "<u>", "command": "x <img src=y>"}
    name = "\"><img src='http://x'>"
    cut = Unread(1, "<s>cut</s>")
    made = contents(vectors(pairs), pairs, facts, person=lambda i: f"{i}{name}", cut=cut)
    told = page(made)
    told.encode("utf-8")
    root = tree(told)
    assert not root.all("script", "u", "i", "s")
    assert all(str(img.attrs["src"]).startswith("data:") for img in root.all("img"))
    captions = [quote.text for quote in root.all("blockquote")]
    assert all("<script>alert(1)</script>" in text and "{{ 7 * 7 }}" in text for text in captions)
    assert "\\x00\\u202e\\ud800" in captions[0] and "\x00" not in told
    assert name in root.all("article")[0].text
    assert any(li.attrs["title"] == "<b>'\"x.png" for li in root.all("li"))
    assert "<i onload=x>" in rows(section(told, "groups"))


def test_a_query_without_a_match_is_told_and_not_scored(tmp_path: Path) -> None:
    pairs = people(tmp_path, range(8))
    made = vectors(pairs)
    asked = made.asked.clone()
    asked[:3] = 70
    pairs = tuple(replace(p, person_id=int(i)) for p, i in zip(pairs, asked, strict=True))
    told = page(contents(replace(made, asked=asked), pairs, FACTS))
    assert "not scored: 3 captions, 0 pictures" in section(told, "numbers").text
    assert rows(section(told, "curves"))["no match"] == ["3"]


def test_right_and_wrong_are_told_apart_without_colour(tmp_path: Path) -> None:
    told = page(found(people(tmp_path, range(8))))
    style = tree(told).all("style")[0].text
    assert (
        ".hits li { border: 3px dashed" in style and ".hits li.right { border: 3px solid" in style
    )
    for li in section(told, "lists").all("li"):
        right = "right" in str(li.attrs["class"])
        assert ("\u2713 right" if right else "\u2717 wrong") in li.text
        assert f"#{li.attrs['value']} " in li.text and li.attrs["title"]
        alt = str(li.all("img")[0].attrs["alt"])
        assert alt.startswith(f"Rank {li.attrs['value']}, {'right' if right else 'wrong'}: person")


def test_pictures_may_be_left_out(tmp_path: Path, embedder: Embedder, dataset: Dataset) -> None:
    write_report(tmp_path / "bare.html", embedder, dataset, pictures=False)
    told = (tmp_path / "bare.html").read_text()
    assert "data:image" not in told and not tree(told).all("img")
    assert "pictures were left out" in tree(told).all("header")[0].text
    cells = section(told, "lists").all("li")
    assert cells and all("person" in li.text and "#" in li.text for li in cells)
    write_report(tmp_path / "full.html", embedder, dataset)
    full = tree((tmp_path / "full.html").read_text())
    assert "shows pictures of people" in full.all("header")[0].text
    assert [li.text for li in full.all("li")] == [li.text for li in cells]


def test_a_picture_that_is_gone_or_damaged_is_blank_and_counted(tmp_path: Path) -> None:
    pairs = people(tmp_path, range(3))
    made = found(pairs)
    whole = pairs[0].image.read_bytes()
    pairs[0].image.write_bytes(whole[:200])
    pairs[-1].image.unlink()
    told = section(page(made), "lists")
    assert "2 of 6 pictures could not be read" in told.text
    blank = [li for li in told.all("li") if not li.all("img")]
    assert {li.attrs["title"] for li in blank} == {"0_0.png", "2_1.png"}
    assert all("no picture" in li.text for li in blank)
    assert "could not be read" not in page(made, pictures=False)


def test_pictures_are_small_however_large_they_were(tmp_path: Path) -> None:
    uri = _small(noise(tmp_path / "big.png", (700, 1300)))
    assert uri is not None
    lists = 3 * ranklists.COUNT * (ranklists.DEPTH + 1)
    assert lists * len(uri) < 10_000_000  # noise is the most that a JPEG has to keep
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as small:
        assert (
            small.height <= TALL and small.width <= WIDE and small.width == round(TALL * 700 / 1300)
        )
        assert not small.getexif()


def test_low_groups_are_marked_and_listed_first(tmp_path: Path) -> None:
    pairs = tuple(
        replace(p, camera="dark" if p.person_id < 8 else "bright")
        for p in people(tmp_path, range(24))
    )
    asked = torch.tensor([p.person_id for p in pairs])
    shown = torch.arange(24).repeat_interleave(2)
    texts = torch.eye(24)[asked]
    texts[asked < 8] = torch.eye(24)[(asked[asked < 8] + 1) % 8]
    told = section(page(contents(Vectors(texts, torch.eye(24)[shown], asked, shown), pairs, FACTS)),
                   "groups")  # fmt: skip
    first = told.all("table")[0]
    lowest = [row.all("td")[0].text + "/" + row.all("th")[0].text
              for row in first.all("tbody")[0].all("tr")]  # fmt: skip
    assert lowest[0] == "camera/dark \u25bc below"
    assert not any("bright" in name and "below" in name for name in lowest)
    assert first.all("tbody")[0].all("tr")[0].all("td")[3].text == "0.00 (0.00 to 0.00)"
    drawn = first.all("svg")[0]
    assert drawn.all("title")[0].text == "0.00 % (0.00 to 0.00); the line is at 66.7 %"


def test_near_duplicates_have_tables_where_they_are_known(tmp_path: Path) -> None:
    pairs = people(tmp_path / "images", range(12))
    assert "Near-duplicates" not in page(found(pairs))
    lines = []
    for p in pairs[::2]:
        twin = {"twin_of": p.person_id - 1, "relation": "twin", "diff": {"attr": "hat"}}
        alone = {"twin_of": None, "relation": None, "diff": None}
        lines.append({"id": p.person_id, "image": f"images/{p.image.name}", "box": [0, 0, 24, 48],
                      "captions": [], "visible": {"skin": 9},
                      **(twin if p.person_id % 2 else alone)})  # fmt: skip
    (tmp_path / "annotations.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    for name in ("dataset.json", "identities.jsonl"):
        (tmp_path / name).touch()
    made = found(pairs)
    assert made.choices[0].scores is not None
    told = rows(section(page(made), "groups"))["twin"]
    assert told[:2] == ["48", "6"]
    assert told[2].startswith(f"{100 * made.choices[0].scores['right']['mean']:.2f} (")
    assert "the line is at 50.0 %" in told[3]


def test_cut_captions_are_counted(tmp_path: Path, embedder: Embedder, dataset: Dataset) -> None:
    long = (replace(dataset.test[0], caption="red " * 80), *dataset.test[1:])
    write_report(tmp_path / "r.html", embedder, replace(dataset, test=long))
    told = section((tmp_path / "r.html").read_text(), "numbers").text
    assert "1 of 32 captions are longer than the 48 tokens" in told
    write_report(tmp_path / "r.html", embedder, dataset)
    told = section((tmp_path / "r.html").read_text(), "numbers").text
    assert "No caption is longer than the model reads." in told


def test_a_full_disk_leaves_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    write(file, "earlier")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"report\.html .*No space left.*; free some disk space"):
        write(file, "later")
    assert file.read_text() == "earlier" and list(tmp_path.iterdir()) == [file]


def test_an_empty_split_and_one_of_one_person_are_refused(
    tmp_path: Path, embedder: Embedder, dataset: Dataset
) -> None:
    with pytest.raises(ValueError, match="the split is empty"):
        write_report(tmp_path / "r.html", embedder, dataset, "train")
    alone = replace(dataset, test=dataset.test[:4])
    with pytest.raises(ValueError, match="two people or more"):
        write_report(tmp_path / "r.html", embedder, alone)
    assert not (tmp_path / "r.html").exists()


def test_the_page_tells_no_folder_of_its_user(tmp_path: Path) -> None:
    home = "/home/alice/secret place"
    command = shlex.join(["tipr", "eval", f"{home}/runs/first", f"--data={home}/people", "--into",
                          f"{home}/page.md#first", "--set", f"data.root={home}/x", "--breakdown",
                          r"C:\Users\alice\secret place\m.html"])  # fmt: skip
    facts = {**FACTS, "model": f"{home}/runs/first/best", "data": f"{home}/people",
             "experiment": {"method": "M", "digest": "d"}, "command": command}  # fmt: skip
    pairs = people(tmp_path, range(4))
    cut = Unread(1, "1 of 9 captions is longer: of 0_1.png 'red' and what follows was not")
    made = contents(vectors(pairs), pairs, facts, cut=cut)
    for pictures in (True, False):
        told = page(made, pictures=pictures)
        assert "alice" not in told and "secret" not in told and str(tmp_path) not in told
        assert (".png" in told) == pictures
        assert tree(told).all("title")[0].text == "Evaluation: first/best on people, test"
    assert rows(section(told, "made"))["command"] == [
        "tipr eval first --data=people --into 'page.md#first' --set data.root=x --breakdown m.html"
    ]
    hub = contents(vectors(pairs), pairs, {**FACTS, "model": "hf:us/model", "data": ""})
    assert "hf:us/model on , test" in page(hub)


def test_the_models_of_a_run_are_told_and_what_is_no_result_is_marked(tmp_path: Path) -> None:
    made = found(people(tmp_path, range(4)))
    other, best = {"R1": 0.25, "mAP": 0.5}, made.t2i.estimates
    told = {"best_on_val": 2, "last": 4, "last_t2i": other, "best_on_test": None, "test": {}}
    numbers = rows(section(page(made, selected=told), "numbers"))
    assert numbers["epoch 2, the best on validation: this page"] == [
        f"{100 * best['R1'].mean:.2f}", f"{100 * best['mAP'].mean:.2f}"]  # fmt: skip
    assert numbers["epoch 4, the last"] == ["25.00", "50.00"]
    assert not any("test split" in name for name in numbers)
    told |= {"best_on_test": 3, "test": {3: {"R1": 0.75, "mAP": 1.0}}}
    numbers = rows(section(page(made, selected=told), "numbers"))
    assert numbers["epoch 3, chosen on the test split: not a result"] == ["75.00", "100.00"]
    assert "Models of this run" not in page(made)


def test_few_people_make_intervals_too_narrow(tmp_path: Path) -> None:
    def told(count: int) -> str:
        return section(page(found(people(tmp_path, range(count)))), "numbers").text

    assert "Only 4 people were scored: with fewer than 20" in told(4)
    assert "too narrow" not in told(20)


def test_one_absent_query_is_enough_for_a_page(tmp_path: Path) -> None:
    pairs = people(tmp_path, range(3))[::4]
    pairs = tuple(replace(p, image_id=n, person_id=n) for n, p in enumerate(pairs))
    made = contents(vectors(pairs), pairs, FACTS)
    assert made.open_set.absent == 1 and made.detections[0].asked == pytest.approx(0.5)
    page(made)
