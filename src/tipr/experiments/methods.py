"""Every method on equal terms.          tipr bench ablation methods --data synth --out runs/methods

One encoder (compact, from the shipped weights), one dataset, one number of epochs, one batch size;
what differs is what the papers differ in: the objectives, and how pairs are drawn and shown. IVT
shows three rows for a pair and so takes three times the time. The rows beside a method are what
its paper's central claim is measured against.
"""

from __future__ import annotations

from tipr.experiments import clip, clip_sdm, irra, ivt, lcr2s, mgrl, sen
from tipr.experiments.table import Claim, Row, Table


def ablation() -> Table:
    levels, parts, words = ivt.ablation().rows, sen.ablation().rows, mgrl.ablation().rows
    rows = {
        "CLIP": Row(experiment=clip.tuned()),
        "SDM + ID": Row(experiment=clip_sdm.small()),
        "IRRA": Row(experiment=irra.small()),
        "SEN": Row(experiment=sen.small()),
        "SEN's base": parts["SDM + ID"],
        "MGRL": Row(experiment=mgrl.small()),
        "MGRL, random words": words["MGRL, as many random words"],
        "MGRL, one iteration": words["MGRL, one iteration"],
        "LCR2S, the richer teacher": Row(experiment=lcr2s.richer()),
        "LCR2S, the student": Row(experiment=lcr2s.small(), teacher="LCR2S, the richer teacher"),
        "LCR2S, without a teacher": lcr2s.ablation().rows["plain"],
        "IVT": Row(experiment=ivt.small()),
        "IVT, one level": levels["one level, both hidden"],
    }
    student, alone = "LCR2S, the student", "LCR2S, without a teacher"
    return Table(
        rows=rows,
        base="SDM + ID",
        claims=(
            Claim(says="SEN finds more than its base", better="SEN", worse="SEN's base"),
            Claim(says="LCR2S: a teacher helps R@1", better=student, worse=alone),
            Claim(says="LCR2S: a teacher helps mAP", better=student, worse=alone, metric="mAP"),
            Claim(says="MGRL: hard words beat random ones", better="MGRL",
                  worse="MGRL, random words"),
            Claim(says="MGRL: two iterations beat one", better="MGRL",
                  worse="MGRL, one iteration"),
            Claim(says="IVT: three levels beat one", better="IVT", worse="IVT, one level"),
        ),
    )  # fmt: skip
