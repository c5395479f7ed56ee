"""What `tipr bench gallery` measured, as tables."""

from __future__ import annotations

from typing import Any


def table(facts: dict[str, Any]) -> str:
    """Markdown: one row for each size and kind of query, then what else was measured."""
    lines = [
        "| rows | query | p50 ms | p95 ms | exact scan ms | ratio | recall |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in facts["sizes"]:
        lines += [
            f"| {one['rows']:,} | {t['what']} | {t['p50']:.1f} | {t['p95']:.1f} | "
            f"{t['scan']:.1f} | {t['ratio']:.3f} | {t['recall']:.3f} |"
            for t in one["timings"]
        ]
    lines += [
        "",
        "| rows | stored a second | index built in s | bytes a record | opened in s | "
        "one added and found in ms (worst) | MiB (with shared pages) | vectors MiB | "
        "reading them once in ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(one) for one in facts["sizes"]]
    return "\n".join([*lines, "", f"{facts['hardware']}, commit {facts['commit']}."])


def _row(one: dict[str, Any]) -> str:
    own, shared = one["memory"]
    vectors = 4 * one["rows"] * one["width"] / 2**20
    return (
        f"| {one['rows']:,} | {one['ingest']:,.0f} | {one['build']:.1f} | "
        f"{one['bytes_each']:,.0f} | {one['opening']:.3f} | {1000 * one['adding']:.1f} "
        f"({1000 * one['adding_worst']:.1f}) | {own:,.0f} ({shared:,.0f}) | {vectors:,.0f} | "
        f"{1000 * one['floor']:.1f} |"
    )
