"""Where a price file of the user's is, on disk or at a URL: checked, and read."""

from pathlib import Path
from typing import Protocol

from unitcost.collectors import fetch
from unitcost.collectors.price_contract import NotHere
from unitcost.collectors.price_reading import (
    asked,
    check_as_of,
    check_source_url,
    read_secret,
)
from unitcost.collectors.whole_file import read_whole


class Place(Protocol):
    """What the options of such a source have in common."""

    @property
    def path(self) -> str:
        """The file, or empty."""
        ...

    @property
    def url(self) -> str:
        """The URL, or empty."""
        ...

    @property
    def bearer_token_file(self) -> str:
        """What the URL asks for, or empty."""
        ...

    @property
    def as_of(self) -> str:
        """The day the prices are of, or empty."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds for the URL."""
        ...


def check_place(place: Place) -> None:
    """Check what depends on each other. Raises ValueError."""
    if place.path and place.url:
        raise ValueError("state path or url, not both")
    if place.url:
        check_source_url(place.url, secret=bool(place.bearer_token_file))
    check_as_of(place.as_of, place.url)


def read_place(place: Place, folder: Path, deadline: float, cap: int) -> bytes:
    """What is there, `cap` bytes at most. Raises PriceSourceError, NotHere where none is stated."""
    if not (place.path or place.url):
        raise NotHere("neither path nor url is stated")
    if place.path:
        return read_whole(folder / place.path, cap)
    token = read_secret(place.bearer_token_file, folder) if place.bearer_token_file else None

    def ask(timeout: float) -> bytes:
        return fetch.fetch(place.url, timeout=timeout, cap=cap, bearer_token=token)

    return asked(ask, deadline, place.timeout)


def is_currency(text: str) -> bool:
    """Whether a text has the form of an ISO 4217 code."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()
