"""What a unit costs over all hosts: of servers and runs that span several, no single host can tell.

Units are counted on one host, cost accrues on each, so rates and parts are summed first and divided
then. Exact history is the fleet's ledger's, in `unitcost report`.
"""

from unitcost.dashboards.names import RUN, G, Recorded, by
from unitcost.dashboards.promql import block
from unitcost.dashboards.rules.model import Group, Recording
from unitcost.dashboards.settings import Settings

FLOW = Recorded.FLOW
R = by(*RUN)


def fleet_group(settings: Settings) -> Group:
    """Dollars for a request, a token and an epoch."""
    window = settings.span(settings.rate_window)
    succeeded = f'unitcost_requests_total{{outcome="succeeded"}}[{window}]'
    rules = (
        _unit("request", f"sum by ({G}) (rate({succeeded}))"),
        _unit("token", f'sum by ({G}) ({FLOW}{{quantity="tokens"}})'),
        Recording(Recorded.EPOCH_COST, whole_epochs(R)),
    )
    return Group("unitcost-fleet", settings.interval, rules)


def _unit(unit: str, counted: str) -> Recording:
    """All cost by all units; tokens are those of input and output together."""
    cost = f'sum by ({G}) ({FLOW}{{quantity="cost"}})'
    return Recording(Recorded.UNIT_COST, f"{cost} / on ({G}) ({counted} > 0)", {"unit": unit})


def whole_epochs(labels: str, runs: str = "", workloads: str = "") -> str:
    """The last epoch's cost by these labels of a run, where every host has closed the same one.

    Until then, and where a host does not know its part, there is none: not a smaller one. `runs`
    and `workloads` select series with and without the label `run`.
    """
    return block(
        """
        sum by (<R>) (unitcost_epoch_cost_part_usd<runs>)
        and on (<R>) (
          min by (<R>) (unitcost_epoch_last<runs>)
          == on (<R>) max by (<R>) (unitcost_epoch_last<runs>)
        )
        and on (<R>) (
          count by (<R>) (unitcost_epoch_cost_part_usd<runs>)
          == on (<W>) group_left () max by (<W>) (unitcost_workload_hosts<workloads>)
        )
        """,
        R=labels,
        W=", ".join(label for label in labels.split(", ") if label != "run"),
        runs=runs,
        workloads=workloads,
    )
