"""The model card of a bundle: what it is, what it may be used for, and on what terms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tipr.encoders.encoder import Encoder

UNSTATED = "not stated"
_LICENSE = re.compile(r"^license: .*$", re.MULTILINE)
_ROW = re.compile(r"^\| licence of the weights \| .*$", re.MULTILINE)
_DATA = re.compile(r"^\| data and its terms \| .*$", re.MULTILINE)
_IDENTIFIER = re.compile(r"[A-Za-z0-9][\w.-]*")


def card(facts: dict[str, Any], encoder: Encoder) -> str:
    """The card of a model about which only its geometry is known."""
    height, width = encoder.image_size
    count = sum(parameter.numel() for parameter in encoder.parameters())
    return f"""---
library_name: tipr
license: unknown
tags: [text-to-image-person-retrieval, person-retrieval]
---

# A model for text-to-image person retrieval

Embeds a crop of a person and a sentence into the same {encoder.width} numbers; load it with
`tipr.Embedder.load(FOLDER)`.

| | |
|---|---|
| encoder | {facts["encoder"]["kind"]}, {count:,} parameters |
| pictures | {height} x {width} pixels |
| sentences | up to {facts["text_length"]} tokens |
| licence of the weights | {UNSTATED} |
| data and its terms | {UNSTATED} |

## Intended use and limits

For research, and for searching pictures that one may lawfully process. It recognises clothing, not
identity: every gallery has a best match for every sentence, also when the person is not there, and
no result is evidence of who somebody is. A person must look at every result. Not for surveillance
of individuals, nor for any decision about a person. Its accuracy and fairness are known only as far
as they were measured, and nothing was measured here.
"""


def with_terms(text: str, license_: str, data: str) -> str:
    """The card with the licence of the weights and the terms of their data filled in.

    Raises:
        ValueError: a term is empty, or the card has no place for it.
    """
    if not license_.strip() or not data.strip():
        raise ValueError("a model is published with the licence of its weights and the terms of "
                         "its data; state both")  # fmt: skip
    if not _IDENTIFIER.fullmatch(license_):
        raise ValueError(f"{license_!r} is no identifier of a licence; write one as apache-2.0, "
                         "cc-by-nc-4.0 or other")  # fmt: skip
    one_line = " ".join(data.replace("|", "/").split())
    for pattern, line in (
        (_LICENSE, f"license: {license_}"),
        (_ROW, f"| licence of the weights | {license_} |"),
        (_DATA, f"| data and its terms | {one_line} |"),
    ):
        text, filled = pattern.subn(lambda _, line=line: line, text, count=1)
        if not filled:
            raise ValueError(f"the model card has no line for {line!r}; add one to its README.md")
    return text


def fill_terms(folder: Path, license_: str, data: str) -> None:
    """Writes the terms into a bundle's card."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    path.write_text(with_terms(text, license_, data), encoding="utf-8", newline="\n")
