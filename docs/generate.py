"""Writes docs/cli.md from the command line itself; with --check, fails when the file is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from tipr.cli import app

PAGE = Path(__file__).with_name("cli.md")


def page() -> str:
    lines = app.generate_docs().splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def main() -> None:
    check = "--check" in sys.argv
    sys.argv = ["tipr"]  # what the usage lines name
    if not check:
        PAGE.write_text(page(), encoding="utf-8", newline="\n")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/cli.md is stale; run `make docs` and commit it")


if __name__ == "__main__":
    main()
