"""Names out of files and archives as a terminal may show them."""

from __future__ import annotations


def plain(text: object) -> str:
    """The text with everything written out that would not be seen, or that would steer a terminal.

    Doing it twice changes nothing, so errors do it for whatever they are made of.
    """
    said = str(text)
    if said.isprintable():
        return said
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)
