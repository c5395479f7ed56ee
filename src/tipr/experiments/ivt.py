"""IVT, one network for both modalities.       tipr train ivt:small --data DIR --out runs/ivt

tiny         tests: seconds on a CPU
small        IVT's objectives on the compact encoder from the shipped weights, rendered people,
             CPU. A step holds as many pairs as any method's and so three times the rows: about
             three times the time. SDM's temperature stands in for the length of the embeddings
pretraining  the stage before, on the small single network: contrast, matching, masked words
shared       IVT's own network at a CPU's size, from random weights; after `pretraining` with
             `--set init_from=RUN`
cuhk_pedes  icfg_pedes   as released: stride 12, SGD, 112 pairs (four GPUs of 28 there)
rstpreid                 as released: stride 16, 48 pairs; one 24 GB GPU

The authors start from a ViT-B/16 and BERT's feed-forwards and words: `--init-from VIT+BERT`, two
files or folders, brings BERT's vocabulary and the ViT's pixel statistics (0.5) along; their weights
after four million pairs of pre-training are read too. Without it the encoder starts from random
weights and this project's pieces of words. The attributes of the word level come from a rule, where
CUHK-PEDES had a file of the authors. One loss spans all 112 pairs, where theirs was one for each
GPU. Rates of norms are doubled with those of biases, and pre-training masks no runs of words
(skip-grams).

| set        | R@1 (as later papers print it) | R@5   | R@10  | ours |
|------------|--------------------------------|-------|-------|------|
| CUHK-PEDES | 65.59                          | 83.11 | 89.21 |      |
| ICFG-PEDES | 56.04                          | 73.60 | 80.22 |      |
| RSTPReid   | 46.70                          | 70.00 | 78.80 |      |
"""

from __future__ import annotations

from dataclasses import replace

from tipr.data.augment import PublishedAugmentation
from tipr.data.levels import Levels
from tipr.data.sampling import PersonBalanced
from tipr.encoders.shared import SharedConfig
from tipr.experiments import clip
from tipr.experiments.table import Claim, Row, Table
from tipr.methods.ivt import IVTConfig, IVTPretraining
from tipr.training.experiment import DataConfig, Experiment, OptimConfig

SMALL = SharedConfig(
    image_size=(128, 64), stem=(32, 64, 128, 192), width=192, layers=4, heads=4, vocabulary=2048,
    text_length=48,
)  # fmt: skip
TINY = SharedConfig(
    image_size=(64, 32), stem=(16, 32, 64), width=64, layers=2, heads=4, vocabulary=2048,
    text_length=48, drop_path=0.0, dropout=0.0,
)  # fmt: skip
METHOD = IVTConfig(temperature=clip.SMOOTH)  # of `small`


def tiny() -> Experiment:
    base = clip.tiny()
    data = replace(base.data, batching=Levels(), sampling=PersonBalanced(per_person=4))
    return replace(base, encoder=TINY, method=IVTConfig(), data=data)


def small() -> Experiment:
    base = clip.tuned()
    data = replace(base.data, batching=Levels(), sampling=PersonBalanced(per_person=4))
    return replace(base, method=METHOD, data=data)


def shared() -> Experiment:
    base = clip.small()
    data = replace(base.data, batching=Levels(), sampling=PersonBalanced(per_person=4))
    return replace(base, encoder=SMALL, method=IVTConfig(), data=data)


def pretraining() -> Experiment:
    method = IVTPretraining(fusion_layers=2, fusion_heads=4)
    return replace(clip.small(), encoder=SMALL, method=method)


def cuhk_pedes() -> Experiment:
    return Experiment(
        encoder=SharedConfig(stride=12),
        method=IVTConfig(label_norm="l2"),
        optim=OptimConfig(
            epochs=120, lr=5e-3, head_lr=5e-3, warmup_epochs=5, warmup_from=0.01, floor=0.002,
            by_epoch=True, cosine_from_start=True, algorithm="sgd", betas=(0.9, 0.999),
            weight_decay=1e-4, decay_vectors=True, bias_lr=2.0, clip_norm=0.0,
        ),
        data=DataConfig(
            batch_size=112, text_length=512, workers=4, batching=Levels(),
            augmentation=PublishedAugmentation(noise=True), sampling=PersonBalanced(per_person=4),
        ),
    )  # fmt: skip


def icfg_pedes() -> Experiment:
    base = cuhk_pedes()
    return replace(base, data=replace(base.data, batching=Levels(word="clause")))


def rstpreid() -> Experiment:
    base = icfg_pedes()
    encoder = SharedConfig(stride=16)
    return replace(base, encoder=encoder, data=replace(base.data, batch_size=48))


def ablation() -> Table:
    """On the compact encoder; two and three levels, or views, take two and three times the time."""
    both, none = METHOD, replace(METHOD, hide_images=False, hide_texts=False)
    one, three = Levels(levels=("sentence",)), Levels()
    rows = {
        "one level": _row(one, none),
        "one level, three views": _row(Levels(levels=("sentence",) * 3), none),
        "two levels": _row(Levels(levels=("phrase", "sentence")), none),
        "three levels": _row(three, none),
        "one level, both hidden": _row(one, both),
        "three levels, images hidden": _row(three, replace(METHOD, hide_texts=False)),
        "three levels, texts hidden": _row(three, replace(METHOD, hide_images=False)),
        "three levels, both hidden": _row(three, both),
        "hidden up to 10 %": _row(three, replace(METHOD, hide=0.1)),
        "hidden up to 40 %": _row(three, replace(METHOD, hide=0.4)),
        "every row hides its own": _row(three, replace(METHOD, shared_positions=False)),
        "a loss for each level": _row(three, replace(METHOD, level_losses=3)),
        "clauses for words": _row(Levels(word="clause"), both),
        "l2 labels": _row(three, replace(METHOD, label_norm="l2")),
        "cmpm": _row(three, replace(METHOD, temperature=None)),
        "cmpm, l2 labels": _row(three, replace(METHOD, temperature=None, label_norm="l2")),
    }
    claims = (
        Claim(says="three levels beat one", better="three levels", worse="one level"),
        Claim(says="three levels beat two", better="three levels", worse="two levels"),
        Claim(says="levels are more than views of the picture",
              better="three levels", worse="one level, three views"),
        Claim(says="hiding helps", better="three levels, both hidden", worse="three levels"),
    )  # fmt: skip
    return Table(rows=rows, base="one level", claims=claims)


def _row(levels: Levels, method: IVTConfig) -> Row:
    base = small()
    return Row(experiment=replace(base, method=method, data=replace(base.data, batching=levels)))
