"""Datasets as they lie on disk, read into pairs."""

from tipr.data.readers.dataset import read_dataset
from tipr.data.readers.entries import DatasetError

__all__ = ["DatasetError", "read_dataset"]
