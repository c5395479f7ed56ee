"""Which clothes, colours and negations a caption mentions.

Clothes go by the names of ONVIF's scene metadata, so that a breakdown speaks as cameras do: types
TopsCategory, TopsStyle, BottomsCategory, BottomsStyle, ShoesCategory and BagCategory, and elements
of Clothing and Belonging, of humanbody.xsd 25.06; elements of Accessory of humanface.xsd 23.12
(github.com/onvif/specs). The words for them are ours, as are those of the colours: ONVIF writes
colours as numbers, so they go by the eleven basic terms of Berlin & Kay (1969), and a shade counts
as its basic colour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

COLOURS = {
    "black": "black ebony",
    "white": "white ivory cream ecru eggshell",
    "red": "red maroon burgundy crimson scarlet vermilion ruby",
    "green": "green olive emerald jade lime mint",
    "yellow": "yellow mustard golden gold amber",
    "blue": "blue navy teal turquoise azure cobalt indigo aqua cyan",
    "brown": "brown beige tan khaki camel taupe chestnut chocolate mocha coffee-colored",
    "purple": "purple violet lavender lilac mauve plum aubergine",
    "pink": "pink salmon fuchsia magenta",
    "orange": "orange tangerine apricot coral",
    "gray": "gray grey charcoal silver slate graphite gunmetal",
}

CLOTHES = {
    "TopsCategory": {
        "LongSleeve": "long[-_]sleeve(?:d|s)?",
        "ShortSleeve": "short[-_]sleeve(?:d|s)?",
        "Sleeveless": "sleeveless tank[-_]tops? singlet camisole",
    },
    "TopsStyle": {
        "Tailor": "suits? blazers? tuxedo(?:es|s)?",
        "Jacket": "jackets? windbreakers? anoraks?",
        "Shirt": "(?:t-?)?shirts? tees? blouses? polos?",
        "Sweater": "sweaters? pullovers? jumpers? sweatshirts? hoodies? hoody cardigans?",
        "Overcoat": "(?:over|top|rain)?coats? parkas?",
        "Dress": "dress(?:es)?(?![-_](?:shirts?|shoes?|pants|trousers)) gowns? frocks?",
        "Vest": "vests? waistcoats? gilets?",
        "SafetyVest": "safety[-_]vests? (?:reflective|hi-vis|high-visibility)[-_]vests?",
    },
    "BottomsCategory": {
        "Trousers": "trousers pants jeans slacks leggings joggers sweatpants chinos",
        "Shorts": "shorts",
        "Skirt": "skirts?",
    },
    "BottomsStyle": {
        "FormalPants": "slacks (?:dress|suit|formal)[-_](?:pants|trousers)",
        "Jeans": "jeans denims?",
    },
    "ShoesCategory": {
        "Boots": "boots? bootees",
        "LeatherShoes": "(?:leather|dress|smart|formal)[-_]shoes? loafers? oxfords brogues",
        "Sneakers": "sneakers? trainers (?:running|tennis|athletic|sports?|gym)[-_]shoes?",
        "Sandal": "sandals?",
        "Slipper": "slippers?",
    },
    "BagCategory": {
        "ShoulderBag": "(?:shoulder|cross-?body|messenger|sling)[-_]bags? purses? satchels?",
        "Backpack": "backpacks? rucksacks? knapsacks? daypacks?",
        "ToteBag": "totes? (?:tote|shopping|canvas)[-_]bags?",
        "Briefcase": "briefcases?",
        "Suitcase": "suitcases?",
    },
    "Clothing": {"Scarf": "scarf scarves muffler shawl", "Gloves": "gloves?"},
    "Belonging": {"Umbrella": "umbrellas? parasol brolly"},
    "Accessory": {
        "Opticals": "(?:eye|sun)?glasses spectacles specs",
        "Hat": "hats? caps? beanies?",
        "Mask": "masks?",
        "Hijab": "hijab headscarf",
        "Helmet": "helmets?",
    },
}

_NEGATION = (
    r"\b(?:no|not|without|none|nothing|neither|nor|never|lacks?|lacking|cannot|bareheaded|"
    r"empty-handed|[a-z]+n[\u2019']t)\b"
)


def mentions(table: Mapping[str, str]) -> re.Pattern[str]:
    """Finds words, in groups of the table's names; `[-_]` stands for a space or hyphen.

    Words of a name are divided by spaces. Where several begin at one place the first counts.
    """
    alternatives = {
        name: "|".join(words.replace("[-_]", r"[-\s]").split()) for name, words in table.items()
    }
    groups = (f"(?P<{name}>{words})" for name, words in alternatives.items())
    return re.compile(rf"\b(?:{'|'.join(groups)})\b")


_COLOURS = mentions(COLOURS)
_CLOTHES = {kind: mentions(names) for kind, names in CLOTHES.items()}
_NEGATED = re.compile(_NEGATION)


def colours(caption: str) -> set[str]:
    """The basic colours that a caption mentions."""
    return {found.lastgroup or "" for found in _COLOURS.finditer(caption.lower())}


def clothes(caption: str) -> dict[str, set[str]]:
    """What a caption mentions, under each of ONVIF's types."""
    return {
        kind: {found.lastgroup or "" for found in words.finditer(caption.lower())}
        for kind, words in _CLOTHES.items()
    }


def negated(caption: str) -> bool:
    """Whether a caption says what is not there."""
    return _NEGATED.search(caption.lower()) is not None
