"""Pictures and sentences in, unit vectors out: the only door to a trained model."""

from __future__ import annotations

from tipr.embedder.bundle import find_bundle
from tipr.embedder.embedder import Embedder, pick_device

__all__ = ["Embedder", "find_bundle", "pick_device"]
