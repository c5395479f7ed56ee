"""Plots as inline SVG: their colours are the page's, their text is escaped, nothing is fetched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from tipr.data.plain import plain

try:
    from markupsafe import Markup
except ImportError as error:
    raise ImportError("a report needs jinja2: pip install 'tipr[report]'") from error

WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 616, 40, 300  # of the axes
_ROW = 16  # height of a bar in a table
_BAR = 120

Number = float | int
Point = tuple[Number, Number]
Look = Literal["solid", "dashed", "dotted", "marks"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    label: str
    low: Number
    high: Number
    ticks: tuple[Number, ...]
    log: bool = False

    def share(self, value: Number) -> float:
        """How far along the axis a value lies, 0 to 1."""
        low, high, value = (
            math.log10(v) if self.log else v for v in (self.low, self.high, value)
        )  # fmt: skip
        return (value - low) / (high - low)


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points, joined by a line or marked; each look is told apart without its colour."""

    name: str
    points: Sequence[Point]
    look: Look


def percents(label: str) -> Axis:
    return Axis(label=label, low=0, high=100, ticks=(0, 20, 40, 60, 80, 100))


def linear(label: str, low: Number, high: Number) -> Axis:
    """Ticks at round numbers, about five of them."""
    if not high > low:
        low, high = low - 0.5, low + 0.5
    rough = (high - low) / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * n for n in (1, 2, 5, 10) if unit * n >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    ticks = tuple(round(n * step, 10) for n in range(first, last + 1))
    return Axis(label=label, low=low, high=high, ticks=ticks)


def logarithmic(label: str, low: Number, high: Number) -> Axis:
    """Ticks at the powers of ten; at least one decade."""
    high = max(high, 10 * low)
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    return Axis(label=label, low=low, high=high, log=True, ticks=tuple(10.0**n for n in powers))


def curves(title: str, told: str, x: Axis, y: Axis, series: Sequence[Series]) -> Markup:
    """Lines and marks over two axes, with a legend; `told` says the same in words."""
    svg = _drawing(title, told, WIDTH, HEIGHT)
    for tick in x.ticks:
        _vertical(svg, _across(x, tick), f"{tick:,g}")
    _axes(svg, x.label, y)
    at = _LEFT
    for one in series:
        _legend(svg, at, one)
        at += 52 + 7 * len(one.name)
        places = [(_across(x, a), _up(y, b)) for a, b in one.points]
        if one.look == "marks":
            for left, top in places:
                _part(svg, "circle", "marks", cx=left, cy=top, r=4)
        elif places:
            joined = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
            _part(svg, "polyline", one.look, points=joined)
    return _markup(svg)


def columns(title: str, told: str, label: str, bars: Sequence[tuple[str, float]]) -> Markup:
    """A column for each name, in percent."""
    svg = _drawing(title, told, WIDTH, HEIGHT)
    y = percents("% of queries")
    _axes(svg, label, y)
    step = (_RIGHT - _LEFT) / len(bars)
    for number, (name, value) in enumerate(bars):
        left, top = _LEFT + step * (number + 0.15), _up(y, value)
        _part(svg, "rect", "fill", x=left, y=top, width=0.7 * step, height=_BOTTOM - top)
        _text(svg, f"{value:.1f}", left + 0.35 * step, top - 6, "middle")
        _text(svg, name, left + 0.35 * step, _BOTTOM + 20, "middle")
    return _markup(svg)


def bar(title: str, mean: float, low: float, high: float, mark: float) -> Markup:
    """A mean with its interval, and a line at what it is to be seen beside; all are 0 to 1."""
    svg = _drawing(title, "", _BAR, _ROW)
    svg.set("class", "bar")
    middle = _ROW / 2
    _part(svg, "rect", "track", x=0, y=2, width=_BAR, height=_ROW - 4)
    _part(svg, "rect", "fill", x=0, y=2, width=_BAR * mean, height=_ROW - 4)
    _part(svg, "line", "reach", x1=_BAR * low, x2=_BAR * high, y1=middle, y2=middle)
    for end in (low, high):
        _part(svg, "line", "reach", x1=_BAR * end, x2=_BAR * end, y1=5, y2=_ROW - 5)
    _part(svg, "line", "mark", x1=_BAR * mark, x2=_BAR * mark, y1=0, y2=_ROW)
    return _markup(svg)


def _drawing(title: str, told: str, width: int, height: int) -> ET.Element:
    size = {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    svg = ET.Element("svg", {**size, "role": "img"})
    ET.SubElement(svg, "title").text = plain(title)
    if told:
        ET.SubElement(svg, "desc").text = plain(told)
    return svg


def _axes(svg: ET.Element, label: str, y: Axis) -> None:
    for tick in y.ticks:
        top = _up(y, tick)
        _part(svg, "line", "grid", x1=_LEFT, x2=_RIGHT, y1=top, y2=top)
        _text(svg, f"{tick:g}", _LEFT - 8, top + 4, "end")
    _part(svg, "line", "axis", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM)
    _part(svg, "line", "axis", x1=_LEFT, x2=_LEFT, y1=_TOP, y2=_BOTTOM)
    _text(svg, label, (_LEFT + _RIGHT) / 2, HEIGHT - 14, "middle")
    middle = (_TOP + _BOTTOM) / 2
    turned = _text(svg, y.label, 16, middle, "middle")
    turned.set("transform", f"rotate(-90 16 {middle:g})")


def _vertical(svg: ET.Element, left: Number, name: str) -> None:
    _part(svg, "line", "grid", x1=left, x2=left, y1=_TOP, y2=_BOTTOM)
    _text(svg, name, left, _BOTTOM + 20, "middle")


def _legend(svg: ET.Element, left: Number, one: Series) -> None:
    if one.look == "marks":
        _part(svg, "circle", "marks", cx=left + 14, cy=18, r=4)
    else:
        _part(svg, "line", one.look, x1=left, x2=left + 28, y1=18, y2=18)
    _text(svg, one.name, left + 34, 22, "start")


def _across(x: Axis, value: Number) -> float:
    return _LEFT + (_RIGHT - _LEFT) * x.share(value)


def _up(y: Axis, value: Number) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * y.share(value)


def _part(svg: ET.Element, name: str, look: str, **where: Number | str) -> ET.Element:
    told = {key: v if isinstance(v, str) else f"{v:.4g}" for key, v in where.items()}
    return ET.SubElement(svg, name, {"class": look, **told})


def _text(svg: ET.Element, text: str, x: Number, y: Number, anchor: str) -> ET.Element:
    place = {"x": f"{x:.4g}", "y": f"{y:.4g}", "text-anchor": anchor}
    part = ET.SubElement(svg, "text", place)
    part.text = plain(text)
    return part


def _markup(svg: ET.Element) -> Markup:
    return Markup(ET.tostring(svg, encoding="unicode"))
