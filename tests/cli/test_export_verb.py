"""`tipr export` at the terminal, and the other verbs on what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exports import PICTURES, contents, exported_model, listed, untrained
from terminal import tipr

from tipr.cli import app
from tipr.embedder import Embedder
from tipr.embedder.graphs import file_of
from tipr.encoders.encoder import MODALITIES
from tipr.evaluation import exported
from tipr.evaluation.exported import ExportRefused
from tipr.experiments import clip

VERBS = """
import sys
from tipr.cli import app

model, crops = sys.argv[1:]
app(["export", model, "--out", "out", "--crops", crops, "--force", "--json"])
for engine in ("openvino", "onnxruntime"):
    app(["index", crops, "--gallery", engine, "--model", "out", "--device", engine])
    app(["search", "a red top", "--gallery", engine, "--device", engine, "--json"])
"""


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> Path:
    """Sixteen pictures and a file that is none."""
    folder = tmp_path_factory.mktemp("crops")
    for number, picture in enumerate(PICTURES[:16]):
        picture.save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.fixture
def given(tmp_path_factory, tmp_path, monkeypatch) -> Path:
    """A model without graphs; those of the same weights are there before they are asked for, and
    always twice as quick, whatever else the machine does."""
    shelf = exported_model(tmp_path_factory) / "graphs"

    def copied(_: object, folder: Path, precisions: tuple, given: dict) -> None:
        for name in [file_of(m, p) for m in MODALITIES for p in precisions]:
            shutil.copy(shelf / name, folder)

    monkeypatch.setattr(exported, "graph_files", copied)
    monkeypatch.setattr(exported, "_quicker", lambda *_: (2.0, 2.0))
    untrained(clip.TINY).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def ran(capsys) -> Callable[..., str]:
    def run(*words: object) -> str:
        capsys.readouterr()
        app([str(word) for word in words])
        return capsys.readouterr().out

    return run


def test_a_model_is_exported_on_pictures_and_searches_in_both_engines(crops, tmp_path) -> None:
    untrained(clip.TINY).save(tmp_path / "model")
    (tmp_path / "here").mkdir()
    before = contents(tmp_path / "model"), contents(crops)
    done = subprocess.run(
        [sys.executable, "-c", VERBS, tmp_path / "model", crops], capture_output=True, text=True,
        timeout=300, cwd=tmp_path / "here",
    )  # fmt: skip
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    told, *found = done.stdout.splitlines()
    facts = json.loads(told)
    assert facts["of"] == Embedder.load(tmp_path / "model", "cpu").fingerprint
    assert [f"{way['engine']}:{way['precision']}" for way in facts["ways"]] == [
        f"{engine}:{precision}"
        for engine in ("openvino", "onnxruntime")
        for precision in ("fp32", "fp16", "int8")
    ]
    answers = [json.loads(line) for line in found if line.startswith("{")]
    assert [answer["runtime"].rpartition(" ")[0] for answer in answers] == [
        "OpenVINO",
        "ONNX Runtime",
    ]
    assert all(len(answer["hits"]) > 1 for answer in answers)
    assert listed(tmp_path / "here") == ["onnxruntime", "openvino", "out"]
    assert len(listed(tmp_path / "here/out/graphs")) == 7
    assert (contents(tmp_path / "model"), contents(crops)) == before


def test_a_dataset_tells_what_is_lost(given, ran, rectangles_root, tmp_path) -> None:
    out = tmp_path / "out"
    words = ("export", given, "--out", out, "--data", rectangles_root, "--precision", "fp32")
    facts = json.loads(ran(*words, "--precision", "fp16", "--most-lost", 100, "--json"))
    assert facts["model"] == str(out) and len(facts["ways"]) == 4
    exact = next(way for way in facts["ways"] if way["precision"] == "fp32")
    assert exact["lost"]["R1"] == exact["lost"]["mAP"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert exact["nearest"] == exact["first"] == 1.0
    table = ran(*words, "--engine", "onnxruntime")
    assert (
        "| onnxruntime fp32 | " in table
        and " | 0.00 (0.00..0.00) | 0.00 (0.00..0.00) |  |" in table
    )
    assert "openvino" not in table and "fp16" not in table
    assert table.endswith(f"\n{out}: ONNX Runtime fp32 computes the vectors on this machine\n")
    assert listed(out / "graphs") == ["graphs.json", "image.fp32.onnx", "text.fp32.onnx"]


def test_an_exported_model_is_measured_and_searched_like_any_other(
    given, ran, rectangles_root, crops, tmp_path
) -> None:
    out, people = tmp_path / "out", tmp_path / "people"
    ran("export", given, "--out", out, "--data", rectangles_root, "--precision", "fp32",
        "--engine", "onnxruntime")  # fmt: skip
    scores = {
        device: json.loads(
            ran("eval", out, "--data", rectangles_root, "--device", device, "--json")
        )
        for device in ("cpu", "pytorch")
    }
    assert scores["cpu"]["runtime"] == "ONNX Runtime fp32"
    assert scores["pytorch"]["runtime"] == "PyTorch"
    assert scores["cpu"]["t2i"]["mAP"] == pytest.approx(scores["pytorch"]["t2i"]["mAP"], abs=0.02)
    assert scores["cpu"]["fingerprint"] == scores["pytorch"]["fingerprint"]
    told = ran("index", crops, "--gallery", people, "--model", out, "--device", "pytorch", "--json")
    assert json.loads(told)["runtime"] == "PyTorch"
    answer = json.loads(ran("search", "a red top", "--gallery", people, "--json"))
    assert answer["runtime"] == "ONNX Runtime fp32" and len(answer["hits"]) > 1
    same = ran("search", "a red top", "--gallery", people, "--json", "--device", "pytorch")
    assert json.loads(same)["hits"][0]["path"] == answer["hits"][0]["path"]


def test_a_model_that_loses_too_much_is_not_written(given, ran, rectangles_root, tmp_path) -> None:
    words = ("export", given, "--out", tmp_path / "out", "--data", rectangles_root)
    with pytest.raises(ExportRefused, match=r"OpenVINO fp32 loses 0\.00 points, more than -1"):
        ran(*words, "--precision", "fp32", "--most-lost=-1")
    assert listed(tmp_path) == ["model"]


def test_something_to_judge_by_is_asked_for(ran, given, tmp_path) -> None:
    refused = tipr("export", given, "--out", tmp_path / "out", code=1)
    assert "--crops" in refused.stderr and "--data" in refused.stderr
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="too few pictures to judge with"):
        ran("export", given, "--out", tmp_path / "out", "--crops", tmp_path / "empty")
    assert listed(tmp_path) == ["empty", "model"]


def test_a_published_model_takes_its_graphs_along(
    ran, tmp_path, tmp_path_factory, monkeypatch
) -> None:
    published = tmp_path / "published"
    monkeypatch.setattr("huggingface_hub.create_repo", lambda *_, **__: None)
    monkeypatch.setattr(
        "huggingface_hub.upload_folder",
        lambda folder_path, **_: str(shutil.copytree(folder_path, published)),
    )
    model = shutil.copytree(exported_model(tmp_path_factory), tmp_path / "model")
    (model / "graphs.old").mkdir()
    ran("push", model, "hf:acme/x", "--license", "mit", "--data-terms", "own pictures")
    given, kept = contents(model), contents(published)
    assert kept.keys() == given.keys() and "graphs/image.int8.onnx" in kept
    assert {name for name in given if given[name] != kept[name]} == {"README.md"}
    assert "graphs.old" not in listed(published)
    found = Embedder.load(published, "cpu", runtime="openvino:fp32")
    assert found.runtime.name == "OpenVINO fp32"


OFFLINE = """
import os, sys
def refuse(event, arguments):
    if event.startswith("socket.") or event == "os.fork":
        os.write(2, f"tried {event} {arguments}\\n".encode())
        raise OSError("there is no network")
sys.addaudithook(refuse)
from tipr import Embedder
for engine in ("openvino", "onnxruntime"):
    embedder = Embedder.load(sys.argv[1], engine)
    assert embedder.embed_texts(["a red top"]).shape == (1, embedder.width)
"""


def test_no_engine_makes_a_connection_or_leaves_a_file_at_home(tmp_path_factory, tmp_path) -> None:
    (tmp_path / "home").mkdir()
    home = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "home")}
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    bundle = exported_model(tmp_path_factory)
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, bundle], capture_output=True, text=True,
        env={**env, **home}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(tmp_path / "home") == {}


def test_a_model_with_damaged_weights_is_not_published(tmp_path_factory, tmp_path, monkeypatch):
    from tipr.embedder.publish import publish

    monkeypatch.setattr("tipr.embedder.publish.upload", lambda *_, **__: "there")
    model = shutil.copytree(exported_model(tmp_path_factory), tmp_path / "model")
    (model / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="damaged"):
        publish(model, "hf:acme/x", "mit", "own")
