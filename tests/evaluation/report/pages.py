"""A page as elements, and small splits to make one of."""

from __future__ import annotations

import random
from html.parser import HTMLParser
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

from tipr.data.pairs import Pair
from tipr.evaluation.report.contents import Contents, contents
from tipr.evaluation.vectors import Vectors

FACTS = {"model": "m", "data": "d", "split": "test", "date": "2026-01-01"}


VOID = {"meta", "img", "br", "link", "hr", "input", "base", "source", "embed", "col"}


class Node:
    """An element of a page, with the elements and texts in it."""

    def __init__(self, tag: str, attrs: dict[str, str | None]) -> None:
        self.tag, self.attrs = tag, attrs
        self.parts: list[Node | str] = []

    def all(self, *tags: str) -> list[Node]:
        inside = [part for part in self.parts if isinstance(part, Node)]
        found = [node for part in inside for node in (part, *part.all())]
        return [node for node in found if not tags or node.tag in tags]

    @property
    def text(self) -> str:
        parts = (part if isinstance(part, str) else part.text for part in self.parts)
        return " ".join("".join(parts).split())


class Tree(HTMLParser):
    """Refuses what is not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Node("", {})
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert len(self.open) == 1, f"{self.open[-1].tag} is never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        node = Node(tag, dict(attrs))
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def tree(page: str) -> Node:
    return Tree(page).root


def section(page: str, name: str) -> Node:
    return next(s for s in tree(page).all("section") if s.attrs["id"] == name)


def rows(node: Node) -> dict[str, list[str]]:
    """The cells of all tables, by the first of each row."""
    told = [[cell.text for cell in row.all("th", "td")] for row in node.all("tr")]
    return {first: rest for first, *rest in told}


def noise(path: Path, size: tuple[int, int] = (24, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("RGB", size, random.Random(path.name).randbytes(3 * size[0] * size[1])).save(
        path
    )
    return path


def people(folder: Path, ids: range, **more) -> tuple[Pair, ...]:
    """Two pictures of each, with two captions each."""
    return tuple(
        Pair(noise(folder / f"{i}_{shot}.png"), f"a red person {i} {shot} {n}", i, 2 * i + shot,
             **more)
        for i in ids for shot in range(2) for n in range(2)
    )  # fmt: skip


def vectors(pairs: tuple[Pair, ...], spread: float = 1.0) -> Vectors:
    """Everybody points somewhere, and what shows them or asks for them about there."""
    asked = torch.tensor([p.person_id for p in pairs])
    shown = torch.tensor([p.person_id for p in {p.image_id: p for p in pairs}.values()])
    draw = torch.Generator().manual_seed(0)
    ways = torch.randn(int(asked.max()) + 1, 6, generator=draw)
    texts, images = (
        F.normalize(ways[ids] + spread * torch.randn(len(ids), 6, generator=draw))
        for ids in (asked, shown)
    )
    return Vectors(texts, images, asked, shown)


def found(pairs: tuple[Pair, ...], **more) -> Contents:
    return contents(vectors(pairs), pairs, FACTS, **more)
