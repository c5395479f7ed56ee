from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
from batches import batch
from jaxtyping import TypeCheckError

from tipr.data.bpe import BytePairs
from tipr.data.difficulty import load_difficulty, save_difficulty
from tipr.data.text import Tokenizer, words
from tipr.experiments import clip, mgrl
from tipr.methods import mgrl as module
from tipr.methods.mgrl import MGRL, MGRLConfig, Selection, caption_difficulty
from tipr.objectives.matching import sdm_of

TRAINED = 12  # epochs: every warm-up is over
SELECTIONS = get_args(Selection)


def built(epoch: int = TRAINED, **settings) -> MGRL:
    torch.manual_seed(0)
    config = replace(mgrl.tiny().method, **settings)
    assert isinstance(config, MGRLConfig)
    method = config.build(clip.TINY.build(), num_persons=4)
    method.epoch = epoch
    return method


def terms(method: MGRL, seed: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return method(batch())


def read_by(method: MGRL, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The captions that the text encoder is given in one forward pass, in order."""
    given, encode = list[torch.Tensor](), method.encoder.encode_text
    monkeypatch.setattr(method.encoder, "encode_text", lambda t: given.append(t) or encode(t))
    terms(method)
    return given


def asked_by(method: MGRL, monkeypatch: pytest.MonkeyPatch) -> tuple[torch.Tensor, torch.Tensor]:
    """The hidden places of one forward pass, and how much each counts in VSMC."""
    seen, score = [], module.masked_words
    monkeypatch.setattr(module, "masked_words", lambda *a: seen.append(a) or score(*a))
    terms(method)
    [(_, _, hidden, weight)] = [a for a in seen if len(a) == 4]
    return hidden, weight


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("epoch", [0, TRAINED])
def test_every_selection_trains_every_part(selection: Selection, epoch: int) -> None:
    method = built(epoch, selection=selection, mutual_weight=1.0)
    loss = terms(method)
    assert set(loss) == {"sdm", "id", "guided", "vsmc", "text", "mutual"}
    assert all(t.ndim == 0 and torch.isfinite(t) for t in loss.values())
    sum(loss.values()).backward()
    assert [n for n, p in method.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("settings", [{"output": "query"}, {"share_iterations": False},
                                      {"iterations": 1}, {"patches_only": True},
                                      {"guidance": "clean"}, {"alias_caption": True},
                                      {"whole_words": False}])  # fmt: skip
def test_every_variant_trains_every_part(settings) -> None:
    method = built(**settings)
    sum(terms(method).values()).backward()
    assert [n for n, p in method.named_parameters() if p.grad is None] == []


def test_text_only_completion_teaches_no_encoder_and_vision_teaches_both() -> None:
    method = built()
    loss = terms(method)
    loss["text"].backward(retain_graph=True)
    assert all(p.grad is None for p in method.encoder.parameters())
    assert all(p.grad is None for p in method.extraction.parameters())
    loss["vsmc"].backward()
    for part in (method.encoder.stem, method.encoder.text_blocks, method.extraction.looks):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_during_warm_up_every_hidden_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for selection in ("hard", "soft", "gain", "random", "placement"):
        method = built(0, selection=selection, warmup_epochs=2, gain_from=3)
        hidden, weight = asked_by(method, monkeypatch)
        assert torch.equal(weight, hidden.float())


def test_after_warm_up_words_that_the_text_gives_away_count_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    even = batch().words % 2 == 0
    losses = torch.where(even, 0.01, 5.0)
    monkeypatch.setattr(module, "hidden_losses", lambda logits, tokens, hidden: losses)
    settings = {"mask_rate": 0.6}
    hidden, hard = asked_by(built(**settings), monkeypatch)
    easy = hidden & even
    assert easy.sum() > hard[easy].sum() == 0
    assert torch.equal(hard > 0, hidden & ~even)
    _, random = asked_by(built(selection="random", **settings), monkeypatch)
    assert random[easy].sum() > 0
    _, soft = asked_by(built(selection="soft", **settings), monkeypatch)
    assert 0 < soft[easy].max() < 0.01 < 0.9 < soft.max() < 1


def test_random_asks_for_as_many_words_as_hard(monkeypatch: pytest.MonkeyPatch) -> None:
    threshold = 1 - 1 / 2048  # an untrained completion finds about half of the words this hard
    settings = {"mask_rate": 0.6, "threshold": threshold}
    hidden, hard = asked_by(built(**settings), monkeypatch)
    _, random = asked_by(built(selection="random", **settings), monkeypatch)

    def per_row(mask: torch.Tensor) -> list[int]:
        return [len(set(w[m > 0].tolist())) for w, m in zip(batch().words, mask, strict=True)]

    assert per_row(hard) == per_row(random)
    assert hard.sum() < hidden.sum()


def test_linguistic_asks_for_nouns_and_adjectives(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight = asked_by(built(selection="linguistic", mask_rate=0.6), monkeypatch)
    tags = batch().tags
    assert tags is not None
    assert torch.equal(weight > 0, hidden & ((tags == 1) | (tags == 2)))


def test_table_hides_hard_words(monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(selection="table", mask_rate=0.3)
    b = batch()
    b.difficulty = torch.where(b.words % 2 == 1, 1.0, 0.0)
    monkeypatch.setattr(module.MGRL, "_weight", lambda *a: seen.append(a[2]) or a[2].float())
    seen: list[torch.Tensor] = []
    method(b)
    assert not (seen[0] & (b.words % 2 == 0)).any()


@pytest.mark.parametrize(("selection", "lacks"), [("table", "difficulty"), ("linguistic", "tags")])
def test_what_the_batch_lacks_is_named(selection: Selection, lacks: str) -> None:
    with pytest.raises(ValueError, match=r"data\.batching"):
        built(selection=selection)(replace(batch(), **{lacks: None}))


def test_placement_reads_a_second_caption_with_hard_words_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = built(selection="placement", mask_rate=0.6, threshold=1 - 1 / 2048)
    first, _, second = read_by(method, monkeypatch)
    tokens = batch().tokens
    assert ((second == tokens) | (second == first)).all()
    assert 0 < (second != tokens).sum() < (first != tokens).sum()


def test_masks_never_split_a_word_nor_hide_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight = asked_by(built(mask_rate=0.5), monkeypatch)
    for row, places in zip(batch().words, hidden, strict=True):
        taken = set(row[places].tolist())
        assert 0 not in taken
        assert places.tolist() == [int(w) in taken for w in row]
    assert not weight[~hidden].any()


def test_masked_guidance_never_sees_the_hidden_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def queries(guidance) -> torch.Tensor:
        method = built(guidance=guidance, text_weight=0.0)
        seen: list[torch.Tensor] = []
        method.extraction.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        given = read_by(method, monkeypatch)
        clean, masked = given[1], given[0]
        texts = {"clean": clean, "masked": masked}
        assert torch.allclose(seen[-1], method.encoder.encode_text(texts[guidance]).tokens)
        return seen[-1]

    assert not torch.allclose(queries("masked"), queries("clean"))


@pytest.mark.parametrize("guidance", ["masked", "clean"])
def test_completion_reads_the_masked_caption_and_what_was_found(
    guidance, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = built(guidance=guidance)
    found: list[torch.Tensor] = []
    given: list[torch.Tensor] = []
    method.extraction.register_forward_hook(lambda *a: found.append(a[-1]))
    method.with_vision.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    masked = read_by(method, monkeypatch)[0]
    assert not masked.equal(batch().tokens)
    read = method.encoder.encode_text(masked).tokens
    assert torch.allclose(given[0], read + found[-1], atol=1e-6)


def test_the_guided_term_matches_what_was_found_by_identity_at_the_temperature() -> None:
    method, b = built(temperature=0.3, guided_weight=0.5), batch()
    text, image = method.encoder.encode_text(b.tokens), method.encoder.encode_image(b.images)
    seen = torch.cat([image.embedding[:, None], image.tokens], dim=1)
    expected = 0.5 * sdm_of(method.extraction.scores(text.embedding, seen), b.person_ids, 0.3)
    assert terms(method)["guided"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_blank_images_leave_completion_to_the_text() -> None:
    """What is added to the tokens is the same everywhere, whatever they are."""
    method = built()
    seen: list[torch.Tensor] = []
    method.extraction.register_forward_hook(lambda *a: seen.append(a[-1]))
    encode = method.encoder.encode_image

    def blank(images: torch.Tensor):
        image = encode(images)
        zero = torch.zeros_like(image.embedding)
        return replace(image, embedding=zero, tokens=torch.zeros_like(image.tokens))

    method.encoder.encode_image = blank  # ty: ignore
    terms(method)
    found = seen[-1].flatten(0, 1)
    assert torch.allclose(found, found[:1].expand_as(found), atol=1e-5)


def test_the_quirk_reads_one_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(read_by(built(alias_caption=True), monkeypatch)) == 1
    assert len(read_by(built(), monkeypatch)) == 2


def test_mutual_guidance_is_ours_and_off() -> None:
    assert "mutual" not in terms(built())


def test_the_extraction_stands_alone() -> None:
    method = built()
    assert method.reranking is method.extraction
    alone = method.reranking.config.build()
    alone.load_state_dict(method.reranking.state_dict())
    text, image = torch.randn(3, 64), torch.randn(2, 9, 64)
    assert torch.equal(alone.scores(text, image), method.extraction.scores(text, image))
    assert built(patches_only=True).reranking is None


def test_an_extraction_that_never_learned_to_match_reranks_nothing() -> None:
    assert built(guided_weight=0.0).reranking is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"selection": "hardest"}, "hard.*placement"),
        ({"guidance": "none"}, "masked.*clean"),
        ({"output": "both"}, "found.*query"),
        ({"alias_caption": True, "guidance": "clean"}, "no clean caption"),
    ],
)
def test_impossible_settings_are_refused(settings, says: str) -> None:
    with pytest.raises((ValueError, TypeCheckError), match=says):
        MGRLConfig(**settings)


def test_difficulty_is_what_the_text_alone_cannot_complete(tmp_path) -> None:
    tokenizer = Tokenizer(BytePairs([("a", "t</w>")]), length=32)
    captions = ["A hat, a coat.", "", "Cat"]
    method = built().train()
    table = caption_difficulty(method, tokenizer, captions)
    assert method.training
    assert {c: set(t) for c, t in table.items()} == {c: set(words(c)) for c in captions}
    save_difficulty(table, tmp_path / "table.json")
    assert load_difficulty(tmp_path / "table.json") == table

    tokens, _ = tokenizer.numbered(["Cat"])
    read = method.eval().encoder.encode_text(torch.where((tokens > 3), 1, tokens))
    chances = method.text_only(read.tokens, read.padding).softmax(-1).gather(-1, tokens[..., None])
    expected = 1 - chances[tokens > 3].mean()
    assert table["Cat"]["cat"] == pytest.approx(expected.item(), abs=1e-6)


def test_the_ablation_compares_selections_on_one_method() -> None:
    table = mgrl.ablation()
    assert {f"ITFE, N={n}" for n in (1, 2, 3, 4)} < set(table.rows)
    assert len({row.experiment.data.batch_size for row in table.rows.values()}) == 1
    assert all(experiment().method.alias_caption for experiment in
               (mgrl.cuhk_pedes, mgrl.icfg_pedes, mgrl.rstpreid))  # fmt: skip
