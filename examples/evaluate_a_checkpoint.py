"""Measure a model on the test split of a dataset.

python examples/evaluate_a_checkpoint.py runs/small DATASET
"""

from __future__ import annotations

import sys

from tipr import Embedder, evaluate
from tipr.data.readers import read_dataset


def main(model: str, root: str) -> None:
    report = evaluate(Embedder.load(model), read_dataset(root).test)
    scores = report.t2i
    print(f"text-to-image R@1 {100 * scores.R1:.2f}, mAP {100 * scores.mAP:.2f}")
    print(f"{scores.queries} captions, {scores.gallery} images, {report.persons} people")
    print(f"a guess has R@1 {100 * report.chance:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
