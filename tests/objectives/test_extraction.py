from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from jaxtyping import TypeCheckError
from references.extraction import extraction as reference
from torch import nn
from torch.nn.functional import cosine_similarity

from tipr.objectives.extraction import ExtractionConfig, TextGuidedExtraction, mutual_guidance


def built(**settings) -> TextGuidedExtraction:
    torch.manual_seed(0)
    module = ExtractionConfig(width=8, heads=2, **settings).build().double()
    for parameter in module.parameters():  # norms and biases as well
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module.requires_grad_(False)


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(3, 4, 8, dtype=torch.float64), torch.randn(3, 5, 8, dtype=torch.float64)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("feedforward", [True, False])
@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_extraction_equals_the_loop(rows, iterations: int, feedforward: bool, shared: bool) -> None:
    query, image = rows
    extract = built(iterations=iterations, feedforward=feedforward, shared=shared)
    found, weights = extract(query, image), extract.state_dict()
    for b in range(3):
        for q in range(4):
            expected = reference(query[b, q], image[b], weights, 2, iterations, shared)
            assert torch.allclose(found[b, q], expected)


def test_one_look_is_one_multi_head_attention(rows) -> None:
    query, image = rows
    extract = built(iterations=1, feedforward=False)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double().requires_grad_(False)
    look, memory = extract.looks[0], extract.memories[0]
    theirs.in_proj_weight.copy_(torch.cat([look.query.weight, memory.key_value.weight]))
    theirs.in_proj_bias.copy_(torch.cat([look.query.bias, memory.key_value.bias]))
    theirs.out_proj.load_state_dict(look.out.state_dict())
    seen = extract.norm_image(image)
    expected = theirs(extract.norm_query(query), seen, seen)[0]
    assert torch.allclose(extract(query, image), extract.norm_out(expected))


def test_from_a_blank_image_every_text_finds_the_same(rows) -> None:
    query, image = rows
    blank = image[:, :1].expand_as(image)
    found = built()(query, blank)
    assert torch.allclose(found, found[:, :1].expand_as(found), atol=1e-5)
    leaking = built(output="query")(query, blank)
    assert not torch.allclose(leaking, leaking[:, :1].expand_as(leaking), atol=1e-2)


def test_the_text_says_where_to_look(rows) -> None:
    query, image = rows
    found = built()(query, image)
    assert not torch.allclose(found[:, 0], found[:, 1], atol=1e-3)


def test_queries_do_not_see_each_other(rows) -> None:
    query, image = rows
    extract = built()
    assert torch.allclose(extract(query, image)[:, 1:2], extract(query[:, 1:2], image))


@pytest.mark.parametrize("output", ["found", "query"])
def test_pairwise_and_scores_equal_the_loop_over_pairs(rows, output) -> None:
    query, image = rows
    text, extract = query[0], built(output=output)
    pairs, scores = extract.pairwise(text, image), extract.scores(text, image)
    assert pairs.shape == (4, 3, 8)
    for t in range(4):
        for i in range(3):
            found = extract(text[None, t : t + 1], image[i : i + 1])[0, 0]
            assert torch.allclose(pairs[t, i], found)
            assert torch.allclose(scores[t, i], cosine_similarity(text[t], found, dim=0))


def test_scores_are_exact_in_mixed_precision(rows) -> None:
    extract, text, image = built().float(), rows[0][0].bfloat16(), rows[1].float()
    with torch.autocast("cpu", torch.bfloat16):
        found, scores = extract.pairwise(text, image), extract.scores(text, image)
    assert scores.dtype == torch.float32
    exact = cosine_similarity(text.double()[:, None], found.double(), dim=-1)
    assert torch.allclose(scores.double(), exact, atol=1e-6)


@pytest.mark.parametrize("output", ["found", "query"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("iterations", [1, 3])
def test_no_part_is_idle(rows, iterations: int, shared: bool, output) -> None:
    extract = built(iterations=iterations, shared=shared, output=output).requires_grad_(True)
    extract(*rows).square().sum().backward()
    assert all(p.grad is not None for p in extract.parameters())


def test_sharing_makes_iterations_free() -> None:
    def count(**settings) -> int:
        return sum(p.numel() for p in built(**settings).parameters())

    assert count(iterations=2) == count(iterations=4)
    assert count(iterations=2, shared=False) < count(iterations=4, shared=False)


def test_an_extraction_is_rebuilt_from_its_config(rows) -> None:
    extract = built(iterations=2, shared=False, output="query")
    again = ExtractionConfig(**asdict(extract.config)).build().double()
    again.load_state_dict(extract.state_dict())
    assert torch.equal(again(*rows), extract(*rows))


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"output": "both"}, "found.*query"), ({"iterations": 0}, "at least once"),
     ({"heads": 3}, "does not divide")],
)  # fmt: skip
def test_impossible_settings_are_refused(settings, says: str) -> None:
    with pytest.raises((ValueError, TypeCheckError), match=says):
        ExtractionConfig(**{"width": 8, "heads": 2, **settings})


def test_mutual_guidance_is_the_divergence_of_two_softmaxes_and_teaches_one_side() -> None:
    torch.manual_seed(0)
    scores, similarity = torch.randn(2, 3, 4, dtype=torch.float64).requires_grad_(True)
    loss = mutual_guidance(scores, similarity, 0.5)
    expected = 0.0
    for s, q in zip(scores.tolist(), similarity.tolist(), strict=True):
        p, q = (torch.tensor(row, dtype=torch.float64).div(0.5).softmax(0) for row in (s, q))
        expected += float((p * (p / q).log()).sum()) / 3
    assert loss.item() == pytest.approx(expected)
    assert mutual_guidance(scores, scores).item() == pytest.approx(0)
    by_scores, by_cosines = torch.autograd.grad(loss, (scores, similarity), allow_unused=True)
    assert by_scores is None
    assert by_cosines is not None
    assert by_cosines.abs().sum() > 0
