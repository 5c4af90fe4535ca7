"""Reads docs/worked-examples.md: its tables, its text, and numbers as it writes them."""

import re
from dataclasses import dataclass
from decimal import Context, Decimal

PAGE = "docs/worked-examples.md"
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")


def number(text: str) -> Decimal:
    """A number as the page writes it."""
    return Decimal(text.replace(",", ""))


def plain(value: Decimal) -> str:
    """As the page writes a result: six digits, thousands apart, no zeros at the end."""
    text = f"{Context(prec=6).plus(value):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True)
class Table:
    """One table of the page, under its heading."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Page:
    """The page: tables by heading, and the text outside of them."""

    tables: dict[str, Table]
    prose: str

    def given(self, heading: str, name: str) -> Decimal:
        """An assumption."""
        rows = dict(self.tables[heading].rows)
        return number(rows[name])


def parse(text: str) -> Page:
    """Tables and prose. A heading has one table at most."""
    tables: dict[str, Table] = {}
    prose: list[str] = []
    heading = ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif not line.startswith("|"):
            prose.append(line)
        elif not line.startswith("|--"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if heading in tables:
                tables[heading].rows.append(cells)
            else:
                tables[heading] = Table(cells, [])
    return Page(tables, "\n".join(prose))
