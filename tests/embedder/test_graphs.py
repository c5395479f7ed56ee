"""A bundle's graphs: which of them computes, what damage is said, and when weights are read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from exports import PICTURES, TEXTS, WAYS, contents, exported_model, listed
from safetensors.torch import load_file, save_file

from tipr.embedder import Embedder, exporting, pick_device, runtime
from tipr.embedder import graphs as way_of
from tipr.embedder.embedder import exported, place_of
from tipr.embedder.publish import publish
from tipr.embedder.runtime import does_int8, missing

AGAIN = "export the model again, or add --device pytorch"
LONG = "a man in a red coat, with a blue hat; he carries a green bag. he walks on a white street"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return exported_model(tmp_path_factory)


@pytest.fixture
def model(bundle: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(bundle, tmp_path / "model")


@pytest.fixture
def of(bundle: Path) -> Embedder:
    """The model in PyTorch."""
    return Embedder.load(bundle, "cpu", runtime="pytorch")


def is_built(embedder: Embedder) -> bool:
    places = {weight.device.type for weight in embedder._encoder.parameters()}
    assert len(places) == 1
    return places == {"cpu"}


def is_alike(a: Embedder, b: Embedder) -> bool:
    """Closer than the vectors of half precision, and of any other model, are."""
    return bool(
        np.allclose(a.embed_images(PICTURES), b.embed_images(PICTURES), atol=1e-5)
        and np.allclose(a.embed_texts(TEXTS), b.embed_texts(TEXTS), atol=1e-5)
    )


@pytest.mark.parametrize(
    ("absent", "without_int8", "chosen"),
    [
        ("", "", "OpenVINO int8"),
        ("openvino", "", "ONNX Runtime int8"),
        ("", "openvino", "ONNX Runtime int8"),
        ("", "openvino onnxruntime", "OpenVINO fp16"),
        ("onnxruntime", "openvino", "OpenVINO fp16"),
        ("openvino", "onnxruntime", "ONNX Runtime fp16"),
        ("openvino onnxruntime", "", "PyTorch"),
    ],
)
def test_the_first_way_that_this_machine_has_is_taken(
    bundle, monkeypatch, absent: str, without_int8: str, chosen: str
) -> None:
    monkeypatch.setattr(way_of, "missing", lambda engine: engine in absent.split())
    monkeypatch.setattr(way_of, "does_int8", lambda engine: engine not in without_int8.split())
    embedder = Embedder.load(bundle, "cpu")
    assert embedder.runtime.name == chosen
    assert is_built(embedder) == (chosen == "PyTorch")


def test_the_order_is_the_bundle_s(model) -> None:
    facts = json.loads((model / "graphs/graphs.json").read_text())
    facts["ways"].reverse()
    (model / "graphs/graphs.json").write_text(json.dumps(facts))
    assert Embedder.load(model, "cpu").runtime.name == "ONNX Runtime fp32"


def test_an_engine_is_missing_when_it_cannot_be_imported(monkeypatch) -> None:
    assert not missing("openvino") and not missing("onnxruntime")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert missing("openvino") and not missing("onnxruntime")


@pytest.mark.parametrize("told", [["FP32", "INT8"], ["FP32", "BF16"]])
def test_openvino_is_asked_whether_the_machine_multiplies_integers(monkeypatch, told) -> None:
    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return told

    monkeypatch.setattr("openvino.Core", Core)
    monkeypatch.setattr(runtime, "_core", runtime._core.__wrapped__)
    assert does_int8("openvino") == ("INT8" in told)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("openvino:fp32", "OpenVINO fp32"), ("onnxruntime:fp16", "ONNX Runtime fp16"),
     ("onnxruntime", "ONNX Runtime int8"), ("pytorch", "PyTorch")],
)  # fmt: skip
def test_a_runtime_is_taken_by_name(bundle, of, wanted: str, name: str) -> None:
    embedder = Embedder.load(bundle, "cpu", runtime=wanted)
    assert embedder.runtime.name == name and embedder.device == torch.device("cpu")
    near = 0.2 if "int8" in name else 1e-3
    for text in ("red", "", LONG):
        assert np.allclose(embedder.embed_texts([text]), of.embed_texts([text]), atol=near)


@pytest.mark.parametrize("wanted", ["openvino", "onnxruntime:fp32", "pytorch"])
def test_a_device_may_name_a_runtime(bundle, wanted: str) -> None:
    embedder = Embedder.load(bundle, wanted)
    assert embedder.runtime.name == Embedder.load(bundle, "cpu", runtime=wanted).runtime.name


@pytest.mark.parametrize("wanted", ["openvino:fp32", "onnxruntime:fp32"])
def test_the_encoder_is_built_only_when_somebody_asks_for_it(model, of, wanted: str) -> None:
    embedder = Embedder.load(model, "cpu", runtime=wanted)
    assert is_alike(embedder, of) and embedder.width == of.width
    assert embedder.fingerprint == of.fingerprint and embedder.source == str(model)
    assert not is_built(embedder)
    read, kept = embedder.encoder.state_dict(), of.encoder.state_dict()
    assert read.keys() == kept.keys() and all(torch.equal(read[name], kept[name]) for name in kept)
    assert embedder.encoder is embedder.encoder and is_built(embedder)
    assert embedder.encoder.word_ids == of.encoder.word_ids
    assert embedder.runtime.name != "PyTorch"


def test_long_texts_by_clauses_are_read_by_a_graph_too(bundle) -> None:
    a, b = (
        Embedder.load(bundle, "cpu", "clauses", runtime) for runtime in ("openvino:fp32", "pytorch")
    )
    assert np.allclose(a.embed_texts([3 * LONG]), b.embed_texts([3 * LONG]), atol=1e-5)


def test_a_saved_copy_has_the_weights_and_no_graphs(bundle, of, tmp_path) -> None:
    Embedder.load(bundle, "cpu").save(tmp_path / "copy")
    assert listed(tmp_path / "copy") == [name for name in listed(bundle) if name != "graphs"]
    again = Embedder.load(tmp_path / "copy", "cpu")
    assert again.runtime.name == "PyTorch" and again.fingerprint == of.fingerprint
    assert is_alike(again, of)


def test_another_runtime_leaves_the_model_itself_as_it_was(bundle, of) -> None:
    graph = Embedder.load(bundle, "cpu", runtime="openvino:fp32").runtime
    other = of.computed_by(graph)
    assert (other.runtime.name, of.runtime.name) == ("OpenVINO fp32", "PyTorch")
    assert other.fingerprint == of.fingerprint and other.encoder is of.encoder


def test_graphs_are_for_cpus(bundle) -> None:
    cuda = torch.device("cuda")
    assert exported(bundle, cuda, "auto") is None and exported(bundle, cuda, "pytorch") is None
    with pytest.raises(ValueError, match=r"openvino:fp32 are for CPUs; add --device cpu"):
        exported(bundle, cuda, "openvino:fp32")


def test_an_unknown_runtime_says_what_there_is(bundle) -> None:
    names = "auto, pytorch, " + ", ".join(way.name for way in WAYS)
    for wanted in ("tensorrt", "int8", "openvino:fp64", ""):
        with pytest.raises(ValueError, match=rf"no graphs for '{wanted}'; choose from {names}, or"):
            Embedder.load(bundle, "cpu", runtime=wanted)


@pytest.mark.parametrize(("engine", "extra"), [("openvino", "openvino"), ("onnxruntime", "onnx")])
def test_an_engine_that_is_not_installed_is_told_how_to_be(
    bundle, monkeypatch, engine: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(ValueError, match=rf"not installed: pip install 'tipr\[{extra}\]'"):
        Embedder.load(bundle, "cpu", runtime=f"{engine}:fp32")


def test_a_model_without_graphs_is_told_how_to_be_exported(of, tmp_path) -> None:
    of.save(tmp_path / "plain")
    with pytest.raises(ValueError, match=r"plain has no exported graphs .* tipr export .*plain "):
        Embedder.load(tmp_path / "plain", "cpu", runtime="openvino:int8")
    assert Embedder.load(tmp_path / "plain", "cpu").runtime.name == "PyTorch"


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def changed(**facts: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))

    return change


def without(key: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        facts = json.loads(path.read_text())
        del facts[key]
        path.write_text(json.dumps(facts))

    return change


STRANGE = [{"engine": "tensorrt", "precision": "int8", "measured": {}}]
FEWER_BITS = [{"engine": "openvino", "precision": "int4", "measured": {}}]


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("image.int8.onnx", flipped, r"image\.int8\.onnx is damaged"),
        ("text.int8.onnx", flipped, r"text\.int8\.onnx is damaged"),
        ("text.int8.onnx", Path.unlink, r"text\.int8\.onnx cannot be read \(No such file"),
        ("graphs.json", lambda path: path.write_bytes(b""), "model are damaged"),
        ("graphs.json", lambda path: path.write_bytes(b"\xff\xfe"), "model are damaged"),
        ("graphs.json", lambda path: path.write_text("[]"), "model are damaged"),
        ("graphs.json", lambda path: path.write_text("null"), "model are damaged"),
        ("graphs.json", changed(format=2), "it has format 2, this tipr reads 1"),
        ("graphs.json", changed(ways=STRANGE), "tensorrt int8 is not known"),
        ("graphs.json", changed(ways=FEWER_BITS), "openvino int4 is not known"),
        ("graphs.json", changed(ways=[7]), "model are damaged"),
        ("graphs.json", changed(ways=None), "model are damaged"),
        ("graphs.json", changed(sha256={}), r"image\.int8\.onnx is damaged"),
        ("graphs.json", changed(sha256=3), "model are damaged"),
        ("graphs.json", without("of"), "model are damaged"),
    ],
)
@pytest.mark.parametrize("runtime", ["auto", "openvino:int8"])
def test_damage_is_named_and_pytorch_still_works(
    model, of, name: str, damage: Callable[[Path], object], said: str, runtime: str
) -> None:
    damage(model / "graphs" / name)
    with pytest.raises(ValueError, match=said) as refused:
        embedder = Embedder.load(model, "cpu", runtime=runtime)
        embedder.embed_images(PICTURES[:1])
        embedder.embed_texts(TEXTS[:1])
    assert str(refused.value).endswith(AGAIN) and "model" in str(refused.value)
    assert Embedder.load(model, "cpu", runtime="pytorch").fingerprint == of.fingerprint


def test_damage_to_a_way_that_is_not_taken_does_not_matter(model, of) -> None:
    flipped(model / "graphs" / "image.int8.onnx")
    assert is_alike(Embedder.load(model, "cpu", runtime="onnxruntime:fp32"), of)


def graphs_beside(model: Path) -> Path:
    """The graphs of the model in a folder of their own, to be moved into a bundle."""
    return shutil.copytree(
        model / "graphs", model.with_name("graphs"), ignore=lambda *_: {"graphs.json"}
    )


def test_a_bundle_says_what_its_graphs_are_made_of(bundle, of, tmp_path) -> None:
    facts = json.loads((bundle / "graphs/graphs.json").read_text())
    assert facts["of"] == of.fingerprint and facts["format"] == 1
    assert [f"{way['engine']}:{way['precision']}" for way in facts["ways"]] == [
        way.name for way in WAYS
    ]
    files = {name for name in listed(bundle / "graphs") if name.endswith(".onnx")}
    assert facts["sha256"].keys() == files and len(files) == 6


def test_an_export_takes_the_place_of_an_older_one_whole(model, of, tmp_path) -> None:
    folder = graphs_beside(model)
    (folder / "text.int8.onnx").unlink()
    (folder / "image.int8.onnx").unlink()
    exporting.write_bundle(of, model, folder, WAYS[-1:])
    assert not {"text.int8.onnx", "image.int8.onnx"} & set(listed(model / "graphs"))
    assert listed(tmp_path) == ["model"]  # the folder of graphs was moved
    assert Embedder.load(model, "cpu").runtime.name == "ONNX Runtime fp32"


def test_others_may_read_graphs_as_they_may_any_new_file(model, of, tmp_path) -> None:
    folder = graphs_beside(model)
    folder.chmod(0o700)
    for path in folder.iterdir():
        path.chmod(0o600)
    exporting.write_bundle(of, tmp_path / "new", folder, WAYS)
    (tmp_path / "usual").write_text("")
    usual = (tmp_path / "usual").stat().st_mode & 0o777
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "new/graphs").iterdir()} == {usual}
    folders = {path.stat().st_mode for path in (tmp_path / "new", tmp_path / "new/graphs")}
    assert len(folders) == 1


def test_graphs_never_take_the_place_of_something_else(model, of, tmp_path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="holds other things"):
        exporting.write_bundle(of, tmp_path / "home", graphs_beside(model), WAYS)
    assert contents(tmp_path / "home") == {"thesis.txt": b"precious"}


def test_a_model_that_was_saved_over_says_to_load_it_again(model: Path) -> None:
    embedder = Embedder.load(model, "cpu")
    embedder.save(model)
    with pytest.raises(ValueError, match=r"text\.int8\.onnx cannot be read \(No such file"):
        embedder.embed_texts(["a red top"])


def other_weights(model: Path) -> None:
    """Puts those of another model in place of the model's own, and leaves the graphs."""
    path = model / "model.safetensors"
    save_file({name: value * 1.5 for name, value in load_file(path).items()}, path)


def test_graphs_of_other_weights_are_never_taken_for_the_model_s(model) -> None:
    other_weights(model)
    with pytest.raises(ValueError, match=r"graphs in .*model are of another model; export it agai"):
        Embedder.load(model, "cpu")
    assert Embedder.load(model, "pytorch").runtime.name == "PyTorch"
    with pytest.raises(ValueError, match="are of another model"):
        publish(model, "hf:acme/x", "mit", "own pictures")


def test_a_damaged_graph_is_not_published(model) -> None:
    flipped(model / "graphs" / "text.fp16.onnx")
    with pytest.raises(ValueError, match=r"text\.fp16\.onnx is damaged"):
        publish(model, "hf:acme/x", "mit", "own pictures")


def test_weights_that_were_replaced_after_loading_are_refused(model) -> None:
    embedder = Embedder.load(model, "cpu", runtime="openvino:fp32")
    other_weights(model)
    with pytest.raises(ValueError, match="was replaced since it was loaded; load it again"):
        _ = embedder.encoder
    assert embedder.embed_texts(["a red top"]).shape == (1, embedder.width)


def test_threads_that_ask_for_the_encoder_at_once_get_the_same(model) -> None:
    embedder = Embedder.load(model, "cpu", runtime="onnxruntime:fp32")
    begun = Barrier(8)

    def asked(_: int) -> object:
        begun.wait()
        return embedder.encoder

    with ThreadPoolExecutor(8) as pool:
        assert len({id(found) for found in pool.map(asked, range(8))}) == 1


def test_a_way_that_was_slower_than_pytorch_is_taken_by_name_only(model, of) -> None:
    slow, quick = ({"pictures": speed} for speed in (0.9, 1.1))
    ways = [replace(WAYS[0], measured=slow), replace(WAYS[4], measured=quick)]
    folder = graphs_beside(model)
    exporting.write_bundle(of, model, folder, ways)
    assert Embedder.load(model, "cpu").runtime.name == "OpenVINO fp32"
    assert Embedder.load(model, "openvino:int8").runtime.name == "OpenVINO int8"
    exporting.write_bundle(of, model, graphs_beside(model), ways[:1])
    assert Embedder.load(model, "cpu").runtime.name == "PyTorch"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_what_an_engine_cannot_open_is_said_in_one_line(model, engine: str) -> None:
    path = model / "graphs/image.fp32.onnx"
    path.write_bytes(b"no graph")
    facts = json.loads((model / "graphs/graphs.json").read_text())
    facts["sha256"][path.name] = way_of.sha256(path)
    (model / "graphs/graphs.json").write_text(json.dumps(facts))
    embedder = Embedder.load(model, f"{engine}:fp32")
    with pytest.raises(ValueError, match=r"cannot open .*image\.fp32\.onnx") as refused:
        embedder.embed_images(PICTURES[:1])
    assert "\n" not in str(refused.value) and str(refused.value).endswith("add --device pytorch")


def test_an_export_takes_the_card_and_the_reranker_along(model, tmp_path) -> None:
    (model / "README.md").write_text("license: own words")
    (model / "reranker.json").write_text("{}")
    (model / "reranker.safetensors").write_bytes(b"weights")
    for out in (tmp_path / "new", model):
        exporting.write_bundle(Embedder.load(model, "pytorch"), out, graphs_beside(model), WAYS)
        found = contents(out)
        assert found["README.md"] == b"license: own words"
        assert (found["reranker.json"], found["reranker.safetensors"]) == (b"{}", b"weights")


HANDLED = """
import faulthandler, gc, os, signal, sys
from tipr.embedder import Embedder

faulthandler.enable()
faulthandler.register(signal.SIGUSR1, file=open(os.devnull, "w"))  # on the stack for signals
first, second = (Embedder.load(sys.argv[1], "openvino:fp32") for _ in range(2))
for embedder in (first, second):
    embedder.embed_texts(["a red top"])
del first, embedder
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
print("alive")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody lends a stack")
def test_signals_are_handled_when_models_are_gone(bundle) -> None:
    done = subprocess.run([sys.executable, "-c", HANDLED, bundle], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


@pytest.mark.parametrize("name", ["openvino:int8", "onnxruntime", "pytorch:mapped", "gpu9"])
def test_what_is_no_device_is_said_in_words(name: str) -> None:
    with pytest.raises(ValueError, match=r"auto, cpu or cuda$"):
        pick_device(name)


def test_runtimes_compute_on_the_cpu() -> None:
    assert {place_of(name).type for name in ("openvino:int8", "pytorch:mapped", "cpu")} == {"cpu"}


def test_a_batch_has_rows(of) -> None:
    with pytest.raises(ValueError, match="at least one row, not 0"):
        of.embed_texts(["a red top"], batch_size=0)
    with pytest.raises(ValueError, match="at least one row, not -1"):
        of.embed_images(PICTURES[:1], batch_size=-1)
