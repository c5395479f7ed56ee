"""Exported graphs compute what the encoder computes, in both engines and every precision."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exports import ENGINES, PICTURES, TEXTS, WORDS, exported_model, listed, untrained, written
from jaxtyping import Float32

from tipr.embedder import Embedder, exporting
from tipr.embedder.bundle import GRAPHS
from tipr.embedder.graphs import file_of
from tipr.embedder.runtime import Engine, Exported, Precision
from tipr.encoders.clip import CLIPConfig
from tipr.encoders.encoder import MODALITIES, Modality
from tipr.experiments import clip, ivt

VOCABULARY, LONGEST = WORDS.vocabulary, WORDS.length
CONFIGS = {
    "compact": clip.TINY,
    "clip": CLIPConfig(
        image_size=(64, 32), image_width=32, image_layers=1, image_heads=2, text_width=32,
        text_layers=1, text_heads=2, text_length=LONGEST, vocabulary=VOCABULARY, embedding=24,
        end_id=WORDS.specials.end,
    ),
    "shared": replace(ivt.TINY, vocabulary=VOCABULARY, drop_path=0.5, dropout=0.5),
    "shared-patches": replace(
        ivt.TINY, vocabulary=VOCABULARY, stem=(), patch=16, stride=8, layers=1
    ),
}  # fmt: skip

Vectors = Float32[np.ndarray, "N D"]


@pytest.fixture(scope="module", params=CONFIGS)
def made(request, tmp_path_factory) -> tuple[Embedder, Path]:
    """A model that was in training when it was exported, and the folder of its graphs."""
    embedder = untrained(CONFIGS[request.param])
    if request.param == "compact":
        return embedder, exported_model(tmp_path_factory) / GRAPHS
    embedder.encoder.train()
    return embedder, written(embedder, tmp_path_factory.mktemp("made") / "model") / GRAPHS


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return exported_model(tmp_path_factory) / GRAPHS


def graphs_of(folder: Path, engine: Engine, precision: Precision) -> Exported:
    return Exported(engine, precision, {m: folder / file_of(m, precision) for m in MODALITIES})


def sentences(rows: int, length: int) -> torch.Tensor:
    """The first is as long as can be, the others are shorter and padded."""
    tokens = torch.randint(4, VOCABULARY, (rows, length))
    tokens[:, 0] = WORDS.specials.start
    for row in range(rows):
        end = max(1, length - 1 - 2 * row)
        tokens[row, end], tokens[row, end + 1 :] = WORDS.specials.end, WORDS.specials.padding
    return tokens


def centred_cosine(found: Vectors, true: Vectors) -> float:
    a, b = found - true.mean(0), true - true.mean(0)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).mean())


@pytest.mark.parametrize("engine", ENGINES)
def test_single_precision_gives_the_vectors_of_the_encoder(made, engine: Engine) -> None:
    embedder, folder = made
    exported, true = graphs_of(folder, engine, "fp32"), embedder.runtime
    assert (
        exported.name == {"openvino": "OpenVINO fp32", "onnxruntime": "ONNX Runtime fp32"}[engine]
    )
    for rows in (1, 2, 5):
        pixels = torch.randn(rows, 3, *embedder.encoder.image_size)
        assert np.allclose(exported.images(pixels), true.images(pixels), atol=1e-4)
        for length in (2, 3, 12, LONGEST):
            tokens = sentences(rows, length)
            assert np.allclose(exported.texts(tokens), true.texts(tokens), atol=1e-4)
    assert true.images(pixels).std(0).max() > 1e-2 < true.texts(tokens).std(0).max()
    assert exported.texts(tokens).dtype == exported.images(pixels).dtype == np.float32


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("precision", "least"), [("fp16", 0.99), ("int8", 0.97)])
def test_fewer_bits_turn_vectors_only_a_little(made, engine, precision, least) -> None:
    embedder, folder = made
    exported = embedder.computed_by(graphs_of(folder, engine, precision))
    for found, true in [
        (exported.embed_images(PICTURES), embedder.embed_images(PICTURES)),
        (exported.embed_texts(TEXTS), embedder.embed_texts(TEXTS)),
    ]:
        assert centred_cosine(found, true) > least


@pytest.mark.parametrize("modality", MODALITIES)
def test_in_eight_bits_weights_are_integers_with_a_scale_for_each_channel(made, modality) -> None:
    graph = onnx.load(made[1] / file_of(modality, "int8")).graph
    held = {one.name: one for one in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm", "Conv")]
    assert not {name for node in products for name in node.input[:2]} & held.keys()
    sources = [list(made_by[node.input[1]].input) for node in products if node.input[1] in made_by]
    weights = [(held[names[0]], held[names[1]]) for names in sources if names[0] in held]
    assert {one.data_type for one, _ in weights} == {onnx.TensorProto.INT8} and len(weights) >= 4
    assert all(scales.dims[0] in one.dims for one, scales in weights)


@pytest.mark.parametrize("modality", MODALITIES)
def test_attention_itself_stays_in_single_precision(made, modality) -> None:
    graph = onnx.load(made[1] / file_of(modality, "int8")).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    assert any(made_by[node.input[0]] != "DequantizeLinear" for node in products)


@pytest.mark.parametrize("modality", MODALITIES)
def test_in_half_precision_weights_take_two_bytes_and_vectors_four(made, modality) -> None:
    graph = onnx.load(made[1] / file_of(modality, "fp16")).graph
    kinds = {one.data_type for one in graph.initializer if np.prod(one.dims) > 16}
    assert onnx.TensorProto.FLOAT16 in kinds and onnx.TensorProto.FLOAT not in kinds
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("engine", ENGINES)
def test_several_threads_embed_at_once(folder: Path, engine: Engine) -> None:
    exported = graphs_of(folder, engine, "fp32")
    batches = [sentences(1 + n % 3, 4 + n) for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(exported.texts, batches))
    alone = graphs_of(folder, engine, "fp32")
    right = [alone.texts(batch) for batch in batches]
    assert np.allclose(np.concatenate(found), np.concatenate(right), atol=1e-5)


def test_calibration_is_what_the_encoder_reads(embedder) -> None:
    given = exporting.calibration(embedder, PICTURES[:18], TEXTS[:33])
    assert [len(batch) for batch in given["image"]] == [16, 2]
    assert [len(batch) for batch in given["text"]] == [16, 16, 1]
    assert np.array_equal(np.concatenate(given["image"]), embedder.pixels(PICTURES[:18]).numpy())
    assert np.array_equal(given["text"][2], embedder.tokenizer(TEXTS[32:33]).numpy())


@pytest.mark.parametrize("lacking", MODALITIES)
def test_eight_bits_need_something_to_be_calibrated_on(embedder, tmp_path, lacking) -> None:
    given = {**exporting.calibration(embedder, PICTURES[:2], TEXTS[:2]), lacking: []}
    with pytest.raises(ValueError, match=r"--crops, or a dataset with --data"):
        exporting.graph_files(embedder, tmp_path, ("fp32", "int8"), given)
    assert listed(tmp_path) == []


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_without_the_extra_the_user_is_told_what_to_install(
    embedder, tmp_path, monkeypatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"pip install 'tipr\[onnx\]'"):
        exporting.graph_files(embedder, tmp_path, ("fp32",), {"image": [], "text": []})


def test_only_the_precisions_that_are_wanted_are_left(
    embedder, folder, tmp_path, monkeypatch
) -> None:
    def written_before(_: object, modality: Modality, path: Path) -> None:
        shutil.copy(folder / file_of(modality, "fp32"), path)

    monkeypatch.setattr(exporting, "_write", written_before)
    given = exporting.calibration(embedder, PICTURES[:2], TEXTS[:2])
    exporting.graph_files(embedder, tmp_path, ("int8",), given)
    assert listed(tmp_path) == ["image.int8.onnx", "text.int8.onnx"]
