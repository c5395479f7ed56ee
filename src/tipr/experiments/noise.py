"""Noisy correspondence: captions of wrong pairs.    tipr bench ablation noise --data DIR --out OUT

Each method trains with 0, 20, 50 and 80 % of its captions shuffled over pairs (`data/noise.py`),
the same ones for all methods and seeds. Several epochs, because a model first learns what most
captions agree on and the wrong ones later: IRRA at 50 % on CUHK-PEDES is printed with R@1 62.41 for
its best epoch and 42.79 for its last (Qin et al., CVPR 2024). So both are told: the model that is
best on validation, whose captions are right, and the last.

16 rows of five passes; `--rows` and `--set optim.epochs=1` make it shorter.
"""

from __future__ import annotations

from dataclasses import replace

from tipr.data.noise import Noise
from tipr.experiments import clip, clip_sdm, irra, sen
from tipr.experiments.table import Claim, Row, Table
from tipr.training.experiment import Experiment

SHARES = (0.0, 0.2, 0.5, 0.8)
EPOCHS = 5
METHODS = {
    "CLIP": clip.tuned,
    "SDM + ID": clip_sdm.small,
    "IRRA": irra.small,
    "SEN": sen.small,
}


def _shuffled(experiment: Experiment, share: float) -> Experiment:
    """The experiment, long enough to learn wrong captions, with this share of them."""
    return replace(
        experiment,
        optim=replace(experiment.optim, epochs=EPOCHS),
        data=replace(experiment.data, noise=Noise(share=share)),
    )


def ablation() -> Table:
    rows = {
        _named(method, share): Row(experiment=_shuffled(start(), share))
        for share in SHARES
        for method, start in METHODS.items()
    }
    claims = tuple(
        Claim(says=f"{method} finds less when half of the captions are shuffled",
              better=_named(method, 0.0), worse=_named(method, 0.5))
        for method in METHODS
    )  # fmt: skip
    return Table(rows=rows, base="SDM + ID", claims=claims)


def _named(method: str, share: float) -> str:
    return f"{method} with {100 * share:.0f} % shuffled" if share else method
