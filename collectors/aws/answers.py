"""AWS's answers in XML. They come from outside: no document types, so no entities to expand."""

from collections.abc import Iterator
from xml.etree import ElementTree

from unitcost.collectors.price_contract import PriceSourceError


def parsed(body: bytes) -> ElementTree.Element:
    """The answer's root. Raises PriceSourceError for what is no XML, or has a document type."""
    try:
        text = body.decode("utf-8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise PriceSourceError("the answer has a document type, as no answer of AWS has")
        return ElementTree.fromstring(text)  # noqa: S314 - without entities; its size is bounded
    except (ElementTree.ParseError, ValueError):
        raise PriceSourceError("the answer is no XML") from None


def elements(root: ElementTree.Element, *path: str) -> Iterator[ElementTree.Element]:
    """Those under that path of names, in whatever namespace."""
    if not path:
        yield root
        return
    for child in root:
        if child.tag.rpartition("}")[2] == path[0]:
            yield from elements(child, *path[1:])


def text_of(root: ElementTree.Element, *path: str) -> str:
    """The text of the first element under that path; empty where there is none."""
    return next(((each.text or "").strip() for each in elements(root, *path)), "")
