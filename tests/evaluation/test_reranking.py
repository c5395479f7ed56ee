"""Re-ranked rankings stay whole, and a head is saved and loaded as itself or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rectangles import draw
from references.reranking import cosine

import tipr.cli
from tipr.data.images import UnreadableImage, open_image
from tipr.data.readers import read_dataset
from tipr.embedder import Embedder
from tipr.evaluation import reranking
from tipr.evaluation.evaluate import evaluate
from tipr.evaluation.metrics import retrieval_metrics
from tipr.evaluation.reranking import (
    PairwiseReranker,
    cosines,
    evaluate_reranked,
    save_reranker,
)
from tipr.objectives.extraction import ExtractionConfig, TextGuidedExtraction

TEXTS = ["a red top", "somebody in blue and black", "green", "a person with a grey bag"]


@pytest.fixture
def extraction() -> TextGuidedExtraction:
    torch.manual_seed(1)
    return ExtractionConfig(width=64, heads=4, iterations=2).build()


@pytest.fixture
def reranker(embedder: Embedder, extraction: TextGuidedExtraction) -> PairwiseReranker:
    return PairwiseReranker(embedder, extraction)


@pytest.fixture
def crops(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{colour}.png" for colour in ("red", "blue", "green")]
    for path in paths:
        draw(path.stem, "black").save(path)
    return paths


@pytest.fixture
def model(embedder: Embedder, extraction: TextGuidedExtraction, tmp_path: Path) -> Path:
    embedder.save(tmp_path / "model")
    save_reranker(extraction, tmp_path / "model", blend=0.4)
    return tmp_path / "model"


@pytest.mark.parametrize("global_token", [True, False])
def test_a_pair_scores_the_blend_of_two_cosines(embedder, extraction, crops, global_token) -> None:
    reranker = PairwiseReranker(embedder, extraction, 0.3, global_token)
    similarity = reranker.similarity(reranker.sentences(TEXTS), reranker.pictures(crops))
    encoder = embedder.encoder.eval()
    for column, path in enumerate(crops):
        with torch.inference_mode():
            image = encoder.encode_image(embedder.transform(open_image(path))[None])
            text = encoder.encode_text(embedder.tokenizer(TEXTS[1:2])).embedding
            parts = [image.embedding[:, None]] * global_token + [image.tokens]
            found = extraction(text[:, None], torch.cat(parts, dim=1))[0, 0].tolist()
        words = text[0].tolist()
        expected = 0.7 * cosine(words, image.embedding[0].tolist()) + 0.3 * cosine(words, found)
        assert float(similarity[1, column]) == pytest.approx(expected, abs=2e-3)


def test_tokens_are_kept_in_half_precision_with_the_global_one_first(reranker, crops) -> None:
    pictures = reranker.pictures(crops)
    assert pictures.tokens.dtype == torch.float16
    assert pictures.tokens.shape == (3, 1 + reranker.embedder.encoder.num_patches, 64)
    first = torch.nn.functional.normalize(pictures.tokens[:, 0].float())
    torch.testing.assert_close(first, pictures.embedding, atol=2e-3, rtol=0)


def test_blocks_and_single_pairs_score_alike(reranker, crops, monkeypatch) -> None:
    texts, pictures = reranker.sentences(TEXTS), reranker.pictures(crops)
    whole = reranker.similarity(texts, pictures)
    asked = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 0, 1], [1, 0, 1]]).bool()
    some = reranker.similarity(texts, pictures, asked)
    torch.testing.assert_close(some[asked], whole[asked])
    assert bool(some[~asked].isnan().all())
    for name, size in (("_PAIRS", 3), ("_PICTURES", 2), ("_SENTENCES", 3)):
        monkeypatch.setattr(reranking, name, size)
    again = reranker.similarity(reranker.sentences(TEXTS), reranker.pictures(crops))
    torch.testing.assert_close(again, whole)


def test_a_description_scores_pictures_as_evaluation_does(reranker, crops) -> None:
    whole = reranker.similarity(reranker.sentences(TEXTS), reranker.pictures(crops))
    scores = reranker.scores(TEXTS[2], crops)
    np.testing.assert_allclose(scores, whole[2].numpy(), atol=1e-6)
    assert reranker.scores(TEXTS[2], []).shape == (0,)


def test_an_unreadable_picture_scores_nan_and_moves_no_other(reranker, crops, tmp_path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    paths = [crops[0], tmp_path / "gone.jpg", crops[1], tmp_path / "broken.jpg"]
    scores = reranker.scores("red", paths)
    assert np.isnan(scores).tolist() == [False, True, False, True]
    np.testing.assert_allclose(scores[[0, 2]], reranker.scores("red", crops[:2]), atol=1e-6)
    assert np.isnan(reranker.scores("red", paths[1::2])).all()
    with pytest.raises(UnreadableImage, match=r"gone.jpg"):
        reranker.pictures(paths)


def test_scoring_leaves_the_model_in_the_mode_it_was_in(reranker, crops) -> None:
    reranker.extraction.train()
    reranker.embedder.encoder.eval()
    scores = reranker.scores("red", crops)
    assert reranker.extraction.training and not reranker.embedder.encoder.training
    np.testing.assert_array_equal(scores, reranker.scores("red", crops))


def test_a_blend_of_nothing_is_the_dual_encoder(embedder, extraction, crops) -> None:
    reranker = PairwiseReranker(embedder, extraction, blend=0.0)
    texts, pictures = reranker.sentences(TEXTS), reranker.pictures(crops)
    torch.testing.assert_close(reranker.similarity(texts, pictures), cosines(texts, pictures))
    with pytest.raises(ValueError, match=r"from 0 to 1; this is 1\.5"):
        PairwiseReranker(embedder, extraction, blend=1.5)


def test_a_split_is_reranked_to_every_depth(reranker, rectangles_root) -> None:
    pairs = read_dataset(rectangles_root).split("test")
    assert evaluate_reranked(reranker, pairs, 0) == evaluate(reranker.embedder, pairs).t2i
    whole = evaluate_reranked(reranker, pairs, 10_000)
    gallery = {pair.image_id: pair for pair in pairs}
    similarity = reranker.similarity(
        reranker.sentences([pair.caption for pair in pairs]),
        reranker.pictures([pair.image for pair in gallery.values()]),
    )
    ids = [pair.person_id for pair in pairs], [pair.person_id for pair in gallery.values()]
    expected = retrieval_metrics(similarity, *map(torch.tensor, ids))
    assert whole.to_json() == pytest.approx(expected.to_json())
    with pytest.raises(ValueError, match="the split is empty"):
        evaluate_reranked(reranker, [], 5)


def test_a_saved_head_scores_as_it_did(model, embedder, extraction, crops) -> None:
    loaded = Embedder.load(model, "cpu")
    for again in (PairwiseReranker.beside(loaded), PairwiseReranker.load(model, loaded)):
        assert (again.blend, again.global_token) == (0.4, True)
        assert again.extraction.config == extraction.config
        before = PairwiseReranker(embedder, extraction, 0.4).scores("a red top", crops)
        np.testing.assert_allclose(again.scores("a red top", crops), before, atol=5e-3)
    assert {path.name for path in model.iterdir()} == {
        "config.json", "model.safetensors", "merges.txt", "README.md",
        "reranker.json", "reranker.safetensors",
    }  # fmt: skip


def test_a_head_is_found_in_a_run(model, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    model.rename(tmp_path / "run" / "best")
    loaded = Embedder.load(tmp_path / "run", "cpu")
    assert PairwiseReranker.load(tmp_path / "run", loaded).blend == 0.4


def test_a_model_without_a_head_says_what_has_one(embedder, tmp_path) -> None:
    embedder.save(tmp_path / "plain")
    with pytest.raises(ValueError, match=r"plain has no re-ranking head; .*tipr train mgrl"):
        PairwiseReranker.load(tmp_path / "plain", embedder)


def test_the_head_of_another_model_is_refused(model, embedder) -> None:
    with torch.no_grad():
        next(embedder.encoder.parameters()).add_(1)
    with pytest.raises(ValueError, match=r"belongs to model \w+, this is \w+ \(untrained\)"):
        PairwiseReranker.load(model, embedder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "\xff"])
def test_damaged_facts_are_named(model, embedder, text: str) -> None:
    (model / "reranker.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"the re-ranking head in .*model is damaged"):
        PairwiseReranker.load(model, embedder)


def test_damaged_weights_and_later_formats_are_named(model, embedder) -> None:
    weights = model / "reranker.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match="is damaged"):
        PairwiseReranker.load(model, embedder)
    weights.unlink()
    with pytest.raises(ValueError, match="is damaged"):
        PairwiseReranker.load(model, embedder)
    facts = json.loads((model / "reranker.json").read_text())
    (model / "reranker.json").write_text(json.dumps({**facts, "format": 2}))
    with pytest.raises(ValueError, match="has format 2, this tipr reads 1"):
        PairwiseReranker.load(model, embedder)


def test_a_save_that_fails_leaves_the_head_that_was_there(
    model, extraction, embedder, monkeypatch
) -> None:
    before = {path.name: path.read_bytes() for path in model.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match=r"could not be written .*free some disk space"):
            save_reranker(extraction, model, blend=0.9)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    save_reranker(extraction, model, blend=0.9)
    assert PairwiseReranker.load(model, embedder).blend == 0.9


def test_saving_a_model_anew_takes_the_head_of_the_old_one_away(model, embedder) -> None:
    embedder.save(model)
    with pytest.raises(ValueError, match="has no re-ranking head"):
        PairwiseReranker.load(model, embedder)


def test_a_head_is_not_saved_where_no_model_is(extraction, tmp_path) -> None:
    with pytest.raises(ValueError, match="is no model of tipr"):
        save_reranker(extraction, tmp_path)


def test_eval_prints_the_reranked_row_below_the_first(model, rectangles_root, capsys) -> None:
    words = ["eval", str(model), "--data", str(rectangles_root), "--device", "cpu"]
    tipr.cli.app([*words, "--rerank", "4"], exit_on_error=False)
    rows = [row for row in capsys.readouterr().out.splitlines() if not row.startswith(" ")]
    assert [row.split("  ")[0] for row in rows[:4]] == ["task", "t2i", "t2i rerank@4", "i2t"]
    assert len({len(row) for row in rows[:4]}) == 1
    tipr.cli.app([*words, "--rerank", "4", "--json"], exit_on_error=False)
    facts = json.loads(capsys.readouterr().out)
    assert (facts["t2i_reranked"]["depth"], facts["t2i_reranked"]["blend"]) == (4, 0.4)
    assert set(facts["t2i_reranked"]) == {"depth", "blend", *facts["t2i"]}
    tipr.cli.app([*words, "--json"], exit_on_error=False)
    assert "t2i_reranked" not in json.loads(capsys.readouterr().out)


def test_search_reorders_with_the_head_beside_the_galleries_model(
    model, crops, tmp_path, capsys
) -> None:
    people = ["--gallery", str(tmp_path / "people"), "--device", "cpu"]
    tipr.cli.app(["index", str(tmp_path), "--model", str(model), *people], exit_on_error=False)
    capsys.readouterr()
    tipr.cli.app(["search", "red", *people, "--rerank", "9", "--json"], exit_on_error=False)
    hits = json.loads(capsys.readouterr().out)["hits"]
    again = PairwiseReranker.beside(Embedder.load(model, "cpu"))
    scores = again.scores("red", [Path(hit["path"]) for hit in hits])
    assert len(hits) == 3 and scores.tolist() == sorted(scores.tolist(), reverse=True)
    with pytest.raises(ValueError, match="has no re-ranking head"):
        (model / "reranker.json").unlink()
        tipr.cli.app(["search", "red", *people, "--rerank", "9"], exit_on_error=False)
