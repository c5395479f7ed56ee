"""Models of the Hugging Face hub, fetched and published only when the user names it.

Graphs are fetched where an engine is installed that runs them.

`hf:ORGANISATION/NAME` or `hf:ORGANISATION/NAME@REVISION`; nothing else ever makes a connection.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from tipr.embedder.runtime import ENGINES, missing

HUB = "hf:"
_GRAPHS = "graphs/*"
_WANTED = ("*.json", "*.safetensors", "*.txt", "*.txt.gz", "README.md", "LICENSE*")
_OLDER = (*_WANTED, "pytorch_model*.bin")  # where there are no safetensors
_NAME = re.compile(r"hf:(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")


def downloaded(name: str) -> Path:
    """The folder of a model of the hub, fetched unless it is in the hub's own cache.

    Raises:
        ValueError: the name is malformed, or the hub does not give the model.
        ImportError: the extra `hub` is not installed.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is no name of a model; its form is hf:ORGANISATION/NAME")
    hub, graphs = _hub(), [] if all(map(missing, ENGINES)) else [_GRAPHS]
    try:
        for wanted in (_WANTED, _OLDER):
            folder = hub.snapshot_download(
                found["repo"], revision=found["revision"], allow_patterns=[*wanted, *graphs]
            )
            if any(Path(folder).rglob("*.safetensors")):
                break
    except (OSError, ValueError) as error:
        raise ValueError(f"{name} could not be fetched ({_first_line(error)}); check the name and "
                         "the network, or pass a folder with the model") from error  # fmt: skip
    return Path(folder)


def upload(folder: Path, name: str, *, private: bool = True) -> str:
    """Publishes a bundle's folder as `hf:ORGANISATION/NAME`; its address."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is no name of a model; its form is hf:ORGANISATION/NAME")
    hub = _hub()
    try:
        hub.create_repo(found["repo"], private=private, exist_ok=True)
        told = hub.upload_folder(
            repo_id=found["repo"], folder_path=str(folder), revision=found["revision"],
            commit_message="Model written by tipr", delete_patterns=[_GRAPHS],
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ValueError(f"{name} could not be published ({_first_line(error)}); log in with "
                         "`hf auth login` and check that the name is yours") from error  # fmt: skip
    return str(told)


def _hub() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError("names that begin with hf: need: pip install 'tipr[hub]'") from error
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
