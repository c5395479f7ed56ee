"""`python -m tipr.cli` is `tipr`."""

from __future__ import annotations

from tipr.cli import main

if __name__ == "__main__":
    main()
