"""The store of one machine: SQLite for the records, one flat file for the vectors."""

from tipr.gallery.local.store import LocalStore

__all__ = ["LocalStore"]
