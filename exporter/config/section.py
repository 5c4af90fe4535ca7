"""What all sections of the configuration are made of."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import msgspec


@dataclass(frozen=True, slots=True)
class Range:
    """The values a number may have, both ends included; checked by `config.load`."""

    low: Decimal
    high: Decimal


def between(low: str, high: str) -> Range:
    """A range from its ends as text, so that neither passes through a float."""
    return Range(Decimal(low), Decimal(high))


UsdPerHour = Annotated[Decimal, between("0", "1000000")]
Usd = Annotated[Decimal, between("0", "1000000000")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: immutable, and an unknown key is an error."""
