"""Text-to-image person retrieval: find a person's photographs from a sentence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tipr.embedder import Embedder
    from tipr.evaluation.evaluate import evaluate
    from tipr.gallery.gallery import Gallery
    from tipr.gallery.searcher import Searcher
    from tipr.training.loop import train

__version__ = "0.1.0"
__all__ = ["Embedder", "Gallery", "Searcher", "evaluate", "train"]

_HOMES = {
    "Embedder": "tipr.embedder",
    "Gallery": "tipr.gallery.gallery",
    "Searcher": "tipr.gallery.searcher",
    "evaluate": "tipr.evaluation.evaluate",
    "train": "tipr.training.loop",
}


def __getattr__(name: str) -> Any:
    """Public names load on first use, so that `import tipr` stays instant and free of torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tipr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
