"""Prices of the user's own: a CSV or YAML file, or one at a URL (docs/prices.md has the columns).

For negotiated rates, for clouds without a public price list, and for price lists of others. The
file is believed as a whole or not at all: a row that is wrong is an error that names its line.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from unitcost.collectors.price_contract import PriceSourceError, SourceContext
from unitcost.collectors.price_place import check_place, is_currency, read_place
from unitcost.collectors.price_reading import (
    Dropped,
    Seconds,
    Timeout,
    Unusable,
    amount,
    end_ns,
    instant_ns,
    stated_ns,
    until_the_next,
)
from unitcost.collectors.price_rows import Row, csv_rows, yaml_rows
from unitcost.pricing.discount import MAX_PERCENT, discounted
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import MAX_TEXT, HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

MAX_CSV_BYTES = 8 * 1024 * 1024
MAX_ROWS = 200_000

Column = Literal[
    "provider",
    "region",
    "zone",
    "sku",
    "model",
    "currency",
    "per_hour",
    "discount_percent",
    "as_of",
    "valid_from",
    "valid_to",
]
COLUMNS: tuple[Column, ...] = get_args(Column)
NEEDED: tuple[Column, ...] = ("provider", "region", "sku", "model", "per_hour")
"""Columns that a file has, or that `fill` stands in for."""
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`path` or `url`: where the prices are; `bearer_token_file`: what the URL asks for.

    `columns`: what the file calls our columns, where it calls them otherwise (then it may have
    others besides); `fill`: what a column holds where the file leaves it empty. `as_of`: when the
    prices were stated, where no column says so; ``fetched``: each time they are fetched.
    `override`: whether they come before those of live sources. `refresh_seconds`, `timeout`.
    """

    path: str = ""
    url: str = ""
    bearer_token_file: str = ""
    columns: dict[Column, Text] = {}
    fill: dict[Column, Text] = {}
    as_of: str = ""
    override: bool = False
    refresh_seconds: Seconds = 3600.0
    timeout: Timeout = 30.0

    def __post_init__(self) -> None:
        """Check what depends on each other. Raises ValueError."""
        check_place(self)


class PriceFile:
    """Reads all of the file each time."""

    name = "price_file"

    def __init__(self, options: Options, context: SourceContext) -> None:
        self.rank = Rank.OVERRIDE if options.override else Rank.LIVE
        self.refresh_seconds = options.refresh_seconds
        self.dropped: Mapping[str, int] = {}
        self.local = bool(options.path)
        self._options = options
        self._context = context

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """The prices of this host's instance type, everywhere and under all terms.

        Raises PriceSourceError, which names the line, and NotHere where no file is stated.
        """
        return self.quotes_of((identity,), deadline)

    def quotes_of(self, identities: Sequence[HostIdentity], deadline: float) -> Sequence[Quote]:
        """The same of several instance types, of one reading. Raises likewise.

        Where rows contradict each other of another type than the first, those are left out.
        """
        wanted = {(each.provider, each.sku) for each in identities}
        text = _decoded(read_place(self._options, self._context.folder, deadline, MAX_CSV_BYTES))
        now_ns = self._context.wall_ns()
        dropped = Dropped()
        quotes = []
        for where, row in _rows(text, self._options, self._is_yaml(text)):
            if time.monotonic() > deadline:
                raise PriceSourceError("the file could not be read in time")
            if not row["per_hour"]:
                dropped.add("no price")
                continue
            try:
                quote = self._quote(row, now_ns)
            except (Unusable, ValueError) as error:
                raise PriceSourceError(f"{where}: {error}") from None
            if (quote.key.provider, quote.key.sku) in wanted:
                quotes.append(quote)
            else:
                dropped.add("another instance type")
        first = identities[0]
        own = [each for each in quotes if each.key.sku == first.sku]
        tiled = until_the_next(own, contradictions := Dropped())
        if contradictions.by_reason:
            raise PriceSourceError(f"two prices of {first.sku} are for the same time")
        self.dropped = dropped.by_reason
        others = [each for each in quotes if each.key.sku != first.sku]
        return (*tiled, *until_the_next(others, Dropped()))

    def _is_yaml(self, text: str) -> bool:
        named = Path(self._options.path or self._options.url.partition("?")[0]).suffix.lower()
        if named == ".csv":
            return False
        return named in (".yaml", ".yml", ".json") or text.lstrip().startswith(("prices:", "{"))

    def _quote(self, row: Row, now_ns: int) -> Quote:
        as_of_ns = stated_ns(row["as_of"] or self._options.as_of, now_ns)
        quote = Quote(
            _key(row),
            amount(row["per_hour"]),
            f"price_file {Path(self._options.path or self._options.url).name}"[:MAX_TEXT],
            valid_from_ns=instant_ns(row["valid_from"]) if row["valid_from"] else as_of_ns,
            valid_to_ns=end_ns(row["valid_to"]),
            as_of_ns=as_of_ns,
            known_at_ns=now_ns,
        )
        if not row["discount_percent"]:
            return quote
        return discounted(quote, _percent(row["discount_percent"]))


def _percent(text: str) -> Decimal:
    try:
        percent = amount(text)
    except Unusable as why:
        raise Unusable(f"discount_percent: {why}") from None
    if percent > MAX_PERCENT:
        raise Unusable("discount_percent is above 100")
    return percent


def _key(row: Row) -> PriceKey:
    missing = [name for name in NEEDED if name != "per_hour" and not row[name]]
    if missing:
        raise Unusable(f"{missing[0]} is missing")
    try:
        model = PriceModel(row["model"])
    except ValueError:
        raise Unusable(f"no price model is called {row['model'][:40]!r}") from None
    currency = row["currency"] or "USD"
    if not is_currency(currency):
        raise Unusable(f"no currency is called {currency[:40]!r}")
    return PriceKey(row["provider"], row["region"], row["sku"], model, row["zone"], currency)


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PriceSourceError("the file is no text in UTF-8") from None


def _rows(text: str, options: Options, is_yaml: bool) -> Iterator[tuple[str, Row]]:
    """Where each row stands, and all our columns of it, empty where there is nothing."""
    theirs = {name: options.columns.get(name, name) for name in COLUMNS}
    needed = [theirs[name] for name in NEEDED if name not in options.fill]

    def check_header(names: Sequence[str]) -> None:
        _check_known(names, options)
        if missing := [name for name in needed if name not in names]:
            raise PriceSourceError(f"the column {missing[0]!r} is missing: this is another file")

    raw = yaml_rows(text) if is_yaml else csv_rows(text, check_header)
    for index, (where, row) in enumerate(raw):
        if index >= MAX_ROWS:
            raise PriceSourceError(f"the file has more than {MAX_ROWS} rows")
        try:
            _check_known(list(row), options)
        except PriceSourceError as error:
            raise PriceSourceError(f"{where}: {error}") from None
        filled: dict[str, str] = {name: row.get(theirs[name], "").strip() for name in COLUMNS}
        for name, value in options.fill.items():
            filled[name] = filled[name] or value
        yield where, filled


def _check_known(names: Sequence[str], options: Options) -> None:
    """A name that is none of ours is a mistake, unless the user says what the file calls ours."""
    if not options.columns and (unknown := set(names) - set(COLUMNS)):
        raise PriceSourceError(f"no column is called {min(unknown)[:40]!r}")


def make_source(options: Options, context: SourceContext) -> PriceFile:
    """Make the source, as the contract asks."""
    return PriceFile(options, context)
