"""What has been indexed: vectors with their records on disk, and searching them with a sentence."""

from tipr.gallery.gallery import (
    EmbedderLike,
    Gallery,
    GalleryError,
    Manifest,
    NotAGallery,
    StaleGallery,
)
from tipr.gallery.indexing import Indexing, IndexReport, index_folders
from tipr.gallery.record import Hit, Record
from tipr.gallery.searcher import Searcher, UnreadText
from tipr.gallery.sheet import contact_sheet
from tipr.gallery.store import MemoryStore, Store, StoreError

__all__ = [
    "EmbedderLike",
    "Gallery",
    "GalleryError",
    "Hit",
    "IndexReport",
    "Indexing",
    "Manifest",
    "MemoryStore",
    "NotAGallery",
    "Record",
    "Searcher",
    "StaleGallery",
    "Store",
    "StoreError",
    "UnreadText",
    "contact_sheet",
    "index_folders",
]
