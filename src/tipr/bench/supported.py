"""LCR2S's richer model as it was trained: with the supports of each test item at hand.

A privileged measurement, never a model's result: it uses the identities of the test split to find
an item's companions. It says whether fusion works at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tipr.bench.trained import trained_method
from tipr.data.pairs import Pair
from tipr.evaluation.evaluate import Queries
from tipr.evaluation.metrics import per_query
from tipr.methods.lcr2s import Richer, RicherConfig
from tipr.objectives.matching import cosine
from tipr.training.experiment import Experiment

CHUNK = 64


@torch.inference_mode()
def queries_with_supports(
    run: Path, experiment: Experiment, pairs: Sequence[Pair], device: torch.device
) -> Queries:
    """Scores the split with every picture and caption enriched by others of its person.

    Raises:
        ValueError: the experiment trains no richer model, or the run lacks its checkpoint.
    """
    if not isinstance(experiment.method, RicherConfig):
        raise ValueError("only LCR2S's richer model is measured with supports")
    richer, batcher = trained_method(run, experiment, device)
    assert isinstance(richer, Richer)
    gallery = list({pair.image_id: pair for pair in pairs}.values())
    texts = [batcher.tokenizer([p.caption])[0].to(device) for p in pairs]
    text = torch.cat([richer.encoder.encode_text(row[None]).embedding for row in texts])
    image = torch.cat([
        richer.encoder.encode_image(batcher(gallery[i : i + CHUNK]).images.to(device)).embedding
        for i in range(0, len(gallery), CHUNK)
    ])  # fmt: skip
    slots = richer.config.slots
    image = richer.fuse_image(image, *_companions(image, [p.person_id for p in gallery], slots))
    text = richer.fuse_text(text, *_companions(text, [p.person_id for p in pairs], slots))
    text_ids = torch.tensor([p.person_id for p in pairs])
    image_ids = torch.tensor([p.person_id for p in gallery])
    values = per_query(cosine(text, image).cpu(), text_ids, image_ids)
    return Queries(text_ids, values, len(gallery))


def _companions(
    rows: Float[Tensor, "N D"], people: Sequence[Hashable], slots: int
) -> tuple[Float[Tensor, "N S D"], Bool[Tensor, "N S"]]:
    """The next `slots` rows of the same person after each row, round and round."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, person in enumerate(people):
        members[person].append(row)
    places = torch.zeros(len(people), slots, dtype=torch.long)
    present = torch.zeros(len(people), slots, dtype=torch.bool)
    for own in members.values():
        for place, row in enumerate(own):
            others = (own[place + 1 :] + own[:place])[:slots]
            places[row, : len(others)] = torch.tensor(others, dtype=torch.long)
            present[row, : len(others)] = True
    return rows[places.to(rows.device)], present.to(rows.device)
