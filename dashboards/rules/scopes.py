"""Whose dollars count where several exporters charge one host: docs/sidecar.md."""

from unitcost.dashboards.names import Recorded, T, W
from unitcost.dashboards.promql import block, once
from unitcost.dashboards.rules.model import Recording
from unitcost.dashboards.settings import Settings


def second_charge(settings: Settings) -> Recording:
    """Sidecars that charge a pod's part of a host which an agent charges as a whole.

    An agent that was there within a day still counts: what it missed it charges when it is back.
    """
    expr = block(
        """
        max by (<T>) (
          last_over_time(unitcost_host_info{scope="pod"}[<day>])
          and on (cluster, host) last_over_time(unitcost_host_info{scope="host"}[<day>])
        )
        """,
        T=T,
        day=settings.span(settings.day),
    )
    return Recording(Recorded.SECOND_CHARGE, expr)


def request_cost(settings: Settings) -> Recording:
    """Dollars for a succeeded request over the fleet, whoever charges and whoever counts.

    Of all models together: an agent that charges a pod does not know what its sidecar counts.
    """
    window = settings.span(settings.window_1h)
    cost = once(f"rate(unitcost_cost_usd_total[{window}])")
    expr = block(
        """
        sum by (<W>) (<cost>)
        / (sum by (<W>) (rate(unitcost_requests_total{outcome="succeeded"}[<window>])) > 0)
        """,
        W=W,
        cost=cost,
        window=window,
    )
    return Recording(Recorded.REQUEST_COST, expr, {"window": "1h"})
