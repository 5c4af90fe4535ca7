"""What flows through each server: dollars, held time, requests and work, by second; and its usual.

All of it is one series by `quantity` and `part`, so that one rule records the baseline of all:

| quantity | part | by second |
|---|---|---|
| attempted, succeeded | | requests; of training steps, which never fail |
| tokens, seconds | input, output | tokens; seconds of prefill and decode |
| cost | gpu, cpu, memory, rest | USD |
| active, idle, loading | gpu, cpu, memory, rest | GPUs, cores, GiB held |

Rates come before sums, so that a replica that restarts or goes moves nothing else.
"""

from collections.abc import Iterable

from unitcost.dashboards.names import G, Recorded, W
from unitcost.dashboards.promql import block, once
from unitcost.dashboards.rules.model import Group, Recording
from unitcost.dashboards.rules.scopes import second_charge
from unitcost.dashboards.settings import Settings

FLOW, BASELINE, WEEKLY = Recorded.FLOW, Recorded.BASELINE, Recorded.WEEKLY
HELD = "active|idle|loading"
WEEKS = 4
"""How many past weeks are remembered."""


def flow_group(settings: Settings) -> Group:
    """The flows, their baseline, and the weights that the baseline gives."""
    rules = (
        second_charge(settings),
        *_requests(settings),
        _single_model(),
        *_work(settings),
        _cost(settings),
        _held(settings),
        *_weekly(settings),
        _baseline(settings),
        _price_weights(),
        _token_weights(),
    )
    return Group("unitcost-flows", settings.interval, rules)


def _requests(settings: Settings) -> tuple[Recording, ...]:
    """Every outcome that is counted is an attempt; where only successes are, both are the same.

    What has no requests has steps.
    """
    selectors = {"attempted": "", "succeeded": '{outcome="succeeded"}'}
    window = settings.span(settings.rate_window)
    return tuple(
        Recording(
            FLOW,
            f"sum by ({G}) (rate(unitcost_requests_total{selector}[{window}]))\n"
            f"or sum by ({G}) (rate(unitcost_steps_total[{window}]))",
            {"quantity": quantity},
        )
        for quantity, selector in selectors.items()
    )


def _single_model() -> Recording:
    """Which model a server has, of those that have only one."""
    expr = block(
        """
        max by (<G>) (<flow>{quantity="attempted", model!=""}) * 0 + 1
        and on (<W>) (count by (<W>) (<flow>{quantity="attempted"}) == 1)
        """,
        G=G,
        W=W,
        flow=FLOW,
    )
    return Recording(Recorded.SINGLE_MODEL, expr)


def _work(settings: Settings) -> tuple[Recording, ...]:
    """Tokens, and what they took in the server; cached input tokens took nothing."""
    series = {
        "tokens": 'label_replace(<rate>, "part", "$1", "type", "(.+)")',
        "seconds": 'label_replace(label_replace(<rate>, "part", "input", "phase", "prefill"), '
        '"part", "output", "phase", "decode")',
    }
    metrics = {
        "tokens": 'unitcost_tokens_total{type=~"input|output"}',
        "seconds": 'unitcost_phase_seconds_total{phase=~"prefill|decode"}',
    }
    window = settings.span(settings.rate_window)
    return tuple(
        Recording(
            FLOW,
            block(
                """
                sum by (<G>, part) (
                  <series>
                )
                and on (<G>) <flow>{quantity="attempted"}
                """,
                G=G,
                flow=FLOW,
                series=text.replace("<rate>", f"rate({metrics[quantity]}[{window}])"),
            ),
            {"quantity": quantity},
        )
        for quantity, text in series.items()
    )


# What is held before a server has told its model, while it loads, is on no model. It belongs to
# the one the server has, or the loading that a restart costs would be in no unit cost.
_BY_MODEL = """
sum by (<labels>, model) (
  (
    sum by (<labels>, model) (
      <known>
    )
    and on (<G>) <flow>{quantity="attempted"}
  )
  or label_replace(
    sum by (<labels>) (
      <unknown>
    )
    * on (<W>) group_left (model) <single>,
    "of", "no model yet", "", ""
  )
)
"""


def _by_model(labels: str, known: str, unknown: str) -> str:
    return block(
        _BY_MODEL,
        labels=labels,
        known=known,
        unknown=unknown,
        G=G,
        W=W,
        flow=FLOW,
        single=Recorded.SINGLE_MODEL,
    )


_PART = '"part", "$1", "resource", "([^:]+).*"'


def _cost(settings: Settings) -> Recording:
    window = settings.span(settings.rate_window)
    known, unknown = (
        f"label_replace({once(f'rate(unitcost_cost_usd_total{selector}[{window}])')}, {_PART})"
        for selector in ("", '{model=""}')
    )
    return Recording(FLOW, _by_model(f"{W}, part", known, unknown), {"quantity": "cost"})


def _held(settings: Settings) -> Recording:
    window = settings.span(settings.rate_window)
    known, unknown = (
        f"label_replace(label_replace("
        f"{once(f'rate(unitcost_held_seconds_total{selector}[{window}])')}, "
        f'{_PART}), "quantity", "$1", "state", "(.+)")'
        for selector in ("", '{model=""}')
    )
    return Recording(FLOW, _by_model(f"{W}, quantity, part", known, unknown))


def _weekly(settings: Settings) -> Iterable[Recording]:
    """The same hour of each of the past weeks.

    The first reads last week's flows, and each other what the one before it said a week ago: so
    four weeks are remembered where samples are kept for eight days only.
    """
    around = settings.baseline_window
    window, back = settings.span(around), settings.span(settings.week - around / 2)
    yield Recording(WEEKLY, f"avg_over_time({FLOW}[{window}] offset {back})", {"weeks": "1"})
    for weeks in range(2, WEEKS + 1):
        before = f'{WEEKLY}{{weeks="{weeks - 1}"}} offset {settings.span(settings.week)}'
        yield Recording(WEEKLY, before, {"weeks": str(weeks)})


def _baseline(settings: Settings) -> Recording:
    """The mean of those weeks; in a workload's first week, yesterday. Never the present."""
    around = settings.baseline_window
    expr = block(
        """
        (
          sum by (<G>, quantity, part) (<weekly>)
          / on (<G>) group_left () count by (<G>) (<weekly>{quantity="attempted"})
        )
        or (
          avg_over_time(<flow>[<window>] offset <back>)
          unless on (<G>) <weekly>{quantity="attempted"}
        )
        """,
        weekly=WEEKLY,
        flow=FLOW,
        window=settings.span(around),
        back=settings.span(settings.day - around / 2),
        G=G,
    )
    return Recording(BASELINE, expr)


def _price_weights() -> Recording:
    """What a second of each kind of resource cost in the baseline.

    A kind that the workload did not hold then is weighed by what it costs now.
    """
    per_second = """
        sum by (<G>, part) (<flow>{quantity="cost"})
        / (sum by (<G>, part) (<flow>{quantity=~"<HELD>"}) > 0)
    """
    expr = block(
        """
        (
          <then>
        )
        or (
          <now>
        )
        """,
        then=block(per_second, G=G, flow=BASELINE, HELD=HELD),
        now=block(per_second, G=G, flow=FLOW, HELD=HELD),
    )
    return Recording(Recorded.WEIGHT, expr, {"quantity": "held"})


def _token_weights() -> Recording:
    """Seconds that a token of each type took in the baseline; 1 for both where that is unknown.

    Where there were no tokens there are no weights: a request is then as much work as another.
    """
    expr = block(
        """
        (
          <took>
          and on (<G>) (
            count by (<G>) (
              <took>
            ) == 2
          )
        )
        or (
          sum by (<G>, part) (<baseline>{quantity="tokens"}) * 0 + 1
          and on (<G>) (sum by (<G>) (<baseline>{quantity="tokens"}) > 0)
          unless on (<G>) (
            count by (<G>) (
              <took>
            ) == 2
          )
        )
        """,
        took=block(
            """
            (sum by (<G>, part) (<baseline>{quantity="seconds"}) > 0)
            / (sum by (<G>, part) (<baseline>{quantity="tokens"}) > 0)
            """,
            G=G,
            baseline=BASELINE,
        ),
        G=G,
        baseline=BASELINE,
    )
    return Recording(Recorded.WEIGHT, expr, {"quantity": "tokens"})
