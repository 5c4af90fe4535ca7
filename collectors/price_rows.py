"""Tables of texts in CSV and YAML, each row with where it stands. Numbers stay as written."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from unitcost.collectors.price_contract import PriceSourceError

MAX_YAML_BYTES = 512 * 1024
"""YAML takes ten times as long to read as CSV."""
Row = Mapping[str, str]


def csv_rows(
    text: str, check_header: Callable[[Sequence[str]], None] = lambda names: None
) -> Iterator[tuple[str, Row]]:
    """The rows under a header, and on which line each ends. Raises PriceSourceError.

    Empty lines and those that begin with # are left out. `check_header` raises PriceSourceError for
    columns that are not those of such a table: without rows, another file would be an empty one.
    """
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for cells in lines:
            if not cells or cells[0].startswith("#"):
                continue
            where = f"line {lines.line_num}"
            if header is None:
                header = [cell.strip() for cell in cells]
                if len(set(header)) < len(header):
                    raise PriceSourceError(f"{where}: a column stands there twice")
                check_header(header)
            elif len(cells) != len(header):
                raise PriceSourceError(f"{where}: {len(cells)} cells, {len(header)} columns")
            else:
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise PriceSourceError(f"line {lines.line_num}: {error}") from None
    if header is None:
        raise PriceSourceError("the file is empty")


def yaml_rows(text: str) -> Iterator[tuple[str, Row]]:
    """The mappings under ``prices:``, by their number. Raises PriceSourceError."""
    if len(text) > MAX_YAML_BYTES:
        raise PriceSourceError(f"as YAML it is larger than {MAX_YAML_BYTES} bytes: use CSV")
    try:
        # Each scalar stays the text it was: a float would not be the price that was written.
        content = yaml.load(text, _Texts)  # noqa: S506 - it makes nothing but texts
    except RecursionError:
        raise PriceSourceError("the YAML is nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise PriceSourceError(f"{line}{getattr(error, 'problem', None) or 'no YAML'}") from None
    rows = content.get("prices") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(rows, list):
        raise PriceSourceError("the YAML must hold 'prices:' with a list, and nothing else")
    for index, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
            raise PriceSourceError(f"price {index}: it must be a mapping of columns to values")
        yield f"price {index}", row


class _Texts(yaml.BaseLoader):
    """YAML whose scalars are the texts they are written as; a key may stand in a mapping once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse what plain YAML readers take silently: the last of two values."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(node.value):
            problem = "a name stands twice in a mapping, or is no text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)
