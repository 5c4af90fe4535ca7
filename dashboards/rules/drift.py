"""Drift: by how much the cost of a request is off its baseline, and which factor did it.

    cost / succeeded = cost/held · work/attempted · attempted/succeeded · held/ready · ready/active · active/work
                     = price     · mix            · failures            · loading    · idle         · speed

`held`, `ready` and `active` are seconds of all resources, weighed by what each cost in the
baseline; `work` is tokens weighed by the seconds each took in the baseline. Each factor is today's
over the baseline's, and their product is that of the total, exactly (docs/alerts.md).
"""  # noqa: E501 - the identity reads best in one line

from collections.abc import Iterable

from unitcost.dashboards.names import READY, TOTAL, G, Recorded
from unitcost.dashboards.promql import block
from unitcost.dashboards.rules.flows import BASELINE, FLOW, HELD
from unitcost.dashboards.rules.model import Group, Recording
from unitcost.dashboards.settings import DAY, Settings

SUM, CHANGE, FACTOR = Recorded.SUM, Recorded.CHANGE, Recorded.FACTOR
QUANTITIES = ("cost", "held", "ready", "active", "work", "attempted", "succeeded")
IDENTITY = {
    "price": ("cost", "held"),
    "mix": ("work", "attempted"),
    "failures": ("attempted", "succeeded"),
    "loading": ("held", "ready"),
    "idle": ("ready", "active"),
    "speed": ("active", "work"),
    TOTAL: ("cost", "succeeded"),
}
GW = f"{G}, window"
GF = f"{G}, factor"


WINDOWS = ("10m", "30m", "1h", "6h")
"""Names of the windows; `window_seconds` says how long each is."""


def window_seconds(settings: Settings, window: str) -> float:
    """How long a window is, before the time scale."""
    return float(getattr(settings, f"window_{window}"))


def factor_groups(settings: Settings) -> tuple[Group, ...]:
    """The weighed sums of each window, and the factors they give."""
    sums = tuple(
        _sums(settings, window, side, series)
        for window in WINDOWS
        for side, series in (("now", FLOW), ("baseline", BASELINE))
    )
    factors = (*_changes(), *_factors(), _without_loading(), _dollars(), _idle_dollars())
    return (
        Group("unitcost-drift-sums", settings.interval, sums),
        Group("unitcost-drift-factors", settings.interval, factors),
    )


def _sums(settings: Settings, window: str, side: str, series: str) -> Recording:
    """The flows of a window, weighed; `side` is now or the same time in the baseline."""
    expr = block(
        """
        sum by (<G>, quantity) (
          avg_over_time(<series>{quantity=~"<HELD>|tokens"}[<span>])
          * on (<G>, part) group_left () <weight>
        )
        or sum by (<G>, quantity) (
          avg_over_time(<series>{quantity=~"cost|attempted|succeeded"}[<span>])
        )
        """,
        G=G,
        HELD=HELD,
        series=series,
        weight=Recorded.WEIGHT,
        span=settings.span(window_seconds(settings, window)),
    )
    return Recording(SUM, expr, {"window": window, "side": side})


def _ratio(quantities: str) -> str:
    return block(
        """
        (sum by (<GW>) (<sum>{side="now", quantity=~"<quantities>"}) > 0)
        / (sum by (<GW>) (<sum>{side="baseline", quantity=~"<quantities>"}) > 0)
        """,
        GW=GW,
        sum=SUM,
        quantities=quantities,
    )


def _changes() -> Iterable[Recording]:
    """Each quantity now over its baseline."""
    parts = {"held": HELD, "ready": "active|idle", "work": "tokens"}
    for quantity in QUANTITIES:
        expr = _ratio(parts.get(quantity, quantity))
        if quantity == "work":
            expr = block(
                """
                (
                  <tokens>
                )
                or (
                  (
                    <requests>
                  )
                  unless on (<G>) <weight>{quantity="tokens"}
                )
                """,
                tokens=expr,
                requests=_ratio("attempted"),
                G=G,
                weight=Recorded.WEIGHT,
            )
        yield Recording(CHANGE, expr, {"quantity": quantity})


def _factors() -> Iterable[Recording]:
    """The six factors and their product; none where any quantity is unknown or zero."""
    for factor, (above, below) in IDENTITY.items():
        expr = block(
            """
            <change>{quantity="<above>"}
            / on (<GW>) <change>{quantity="<below>"}
            and on (<GW>) (count by (<GW>) (<change>) == <count>)
            """,
            change=CHANGE,
            above=above,
            below=below,
            GW=GW,
            count=str(len(QUANTITIES)),
        )
        yield Recording(FACTOR, expr, {"factor": factor})


def _without_loading() -> Recording:
    expr = f'{FACTOR}{{factor="{TOTAL}"}} / on ({GW}) {FACTOR}{{factor="loading"}}'
    return Recording(FACTOR, expr, {"factor": READY})


def _dollars() -> Recording:
    """Dollars a day that would not be spent if the factor were 1; negative where it saves some."""
    expr = block(
        """
        <day> * (1 - 1 / <factor>)
        * on (<GW>) group_left () <sum>{side="now", quantity="cost"}
        """,
        day=str(DAY),
        factor=FACTOR,
        GW=GW,
        sum=SUM,
    )
    return Recording(Recorded.FACTOR_USD, expr)


def _idle_dollars() -> Recording:
    """Idle dollars a day beyond those of the same hour in the baseline, at its prices."""
    expr = block(
        """
        <day> * (
          <sum>{side="now", quantity="idle"}
          - on (<GW>) <sum>{side="baseline", quantity="idle"}
        )
        """,
        day=str(DAY),
        sum=SUM,
        GW=GW,
    )
    return Recording(Recorded.IDLE_USD, expr)
