"""A dressed person as patches, in the order from the head and the inside outward."""

from __future__ import annotations

from tipr.data.synthetic.bags import bags
from tipr.data.synthetic.carried import carried
from tipr.data.synthetic.figure import Figure
from tipr.data.synthetic.footwear import shoes
from tipr.data.synthetic.garments_lower import bottoms
from tipr.data.synthetic.garments_neck import scarf
from tipr.data.synthetic.garments_upper import outermost, tops
from tipr.data.synthetic.hair import hair
from tipr.data.synthetic.hats import hats
from tipr.data.synthetic.head import head
from tipr.data.synthetic.limbs import hands, neck
from tipr.data.synthetic.mesh import Patch


def dress(figure: Figure) -> list[Patch]:
    """Everything visible of the person: skin, hair, clothes, bag and what is in the hand."""
    identity = figure.identity
    return [
        *head(figure),
        neck(figure),
        *hair(figure),
        *hats(figure),
        *tops(figure),
        *bottoms(figure),
        *hands(figure, "glove" if identity.gloves else "hand"),
        *shoes(figure),
        *(scarf(figure, outermost(identity)) if identity.scarf else []),
        *bags(figure),
        *carried(figure),
    ]
