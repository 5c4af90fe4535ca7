"""Inference, for ML engineers: what a request and a token cost, against load and latency; waste."""

from unitcost.dashboards.boards import variables
from unitcost.dashboards.boards.events import events
from unitcost.dashboards.boards.layout import Row, dashboard
from unitcost.dashboards.boards.library import Board, Panel
from unitcost.dashboards.boards.panels import Column, Columns, lines, table
from unitcost.dashboards.boards.query import (
    BASIS,
    COST,
    DAY,
    MODEL,
    RANGE,
    RATE,
    WORKLOAD,
    Query,
    money,
    rate,
)
from unitcost.dashboards.names import Recorded, Uid

REQUESTS = "unitcost_requests_total"
TOKENS = "unitcost_tokens_total"
PHASE = "unitcost_phase_seconds_total"
BY = "workload, model"
NAMED = "{{workload}} {{model}}"
DONE = f'{MODEL}, outcome="succeeded"'
SERVERS = f'{MODEL}, kind="inference"'
"""What the choice of all workloads is narrowed to where others have the metric, too."""


def inference() -> Board:
    """The dashboard of model servers."""
    rows = (
        Row("What a unit costs", ((10, (_request(), _token())), (10, (_variants(),)))),
        Row(
            "Against load",
            ((8, (_load(), _latency(), _queues())), (8, (_mix(), _busy(), _reported(), _fleet()))),
        ),
        Row("Waste and savings", ((8, (_idle(), _waste(), _failures(), _savings())),)),
        Row("On whose behalf", ((8, (_tenants(), _tenant_requests())),)),
        Row("How well it is known", ((8, (_coverage(), _layers())), (8, (_methods(),)))),
    )
    return dashboard(
        Uid.INFERENCE,
        "Inference",
        "What requests and tokens cost by model server and model, against load and latency.",
        [
            *variables.hosts(),
            variables.owner(),
            variables.workload("inference"),
            variables.model(),
            variables.basis(),
            variables.currency(),
        ],
        rows,
        since="now-6h",
        annotations=events(),
    )


def _cost(window: str = RATE) -> str:
    return rate(COST, f"{MODEL}, {BASIS}", BY, window)


def _per_token(kind: str, phase: str, window: str = RATE) -> str:
    """Dollars of a million tokens: the cost by the seconds of their phase, over their number."""
    seconds = rate(PHASE, f'{MODEL}, phase="{phase}"', BY, window)
    every = rate(PHASE, f'{MODEL}, phase=~"prefill|decode"', BY, window)
    tokens = rate(TOKENS, f'{MODEL}, type="{kind}"', BY, window)
    return f"1000000 * {_cost(window)} * ({seconds} / {every}) / ({tokens} > 0)"


def _request() -> Panel:
    return lines(
        "1,000 requests ($currency)",
        "Dollars for 1,000 succeeded requests, over all replicas. It rises where load falls: "
        "compare with Requests a second, and open Drift to see which factor did it.",
        "short",
        Query(money(f"1000 * {_cost()} / ({rate(REQUESTS, DONE, BY)} > 0)"), NAMED),
    )


def _token() -> Panel:
    every = rate(TOKENS, f'{MODEL}, type=~"input|output"', BY)
    return lines(
        "1 million tokens ($currency)",
        "Dollars for a million tokens by type, split by the seconds of prefill and decode. Servers "
        "that do not count phases have only the price of all tokens together.",
        "short",
        Query(money(_per_token("input", "prefill")), f"{NAMED} input"),
        Query(money(_per_token("output", "decode")), f"{NAMED} output"),
        Query(money(f"1000000 * {_cost()} / ({every} > 0)"), f"{NAMED} all"),
    )


def _variants() -> Panel:
    idle = rate(COST, f'{SERVERS}, state="idle"', BY, RANGE)
    total = rate(COST, SERVERS, BY, RANGE)
    failed = rate(REQUESTS, f'{MODEL}, outcome!="succeeded"', BY, RANGE)
    done = rate(REQUESTS, DONE, BY, RANGE)
    every = rate(REQUESTS, MODEL, BY, RANGE)
    link = "/d/unitcost-drift?${datasource:queryparam}&var-workload=${__value.raw}"
    return table(
        "Variants side by side, over the time range ($currency)",
        "Model servers and models beside each other over the chosen time: what units cost, how "
        "fast they are, what idles. Compare variants of one model under the same load only.",
        Columns(
            {"workload": Column("Workload", link=link), "model": Column("Model")},
            (
                Column("1,000 requests", "short"),
                Column("1 M input tokens", "short"),
                Column("1 M output tokens", "short"),
                Column("Requests a second", "reqps"),
                Column("Latency", "s"),
                Column("Idle", "percentunit"),
                Column("Failed", "percentunit"),
            ),
        ),
        Query(money(f"1000 * {_cost(RANGE)} / ({done} > 0)")),
        Query(money(_per_token("input", "prefill", RANGE))),
        Query(money(_per_token("output", "decode", RANGE))),
        Query(done),
        Query(f"avg by ({BY}) (avg_over_time(unitcost_request_latency_seconds{{{MODEL}}}{RANGE}))"),
        Query(f"{idle} / ({total} > 0)"),
        Query(f"{failed} / ({every} > 0)"),
    )


def _load() -> Panel:
    return lines(
        "Requests a second",
        "Requests that ended, by outcome. Fewer requests on the same replicas make each dearer; "
        "that is idle time, not a fault of the server.",
        "reqps",
        Query(rate(REQUESTS, MODEL, f"{BY}, outcome"), f"{NAMED} {{{{outcome}}}}"),
    )


def _latency() -> Panel:
    return lines(
        "Latency",
        "Mean time of a request in the server, as it reports it. Cheaper requests that wait longer "
        "may be no gain: hold this against the cost above.",
        "s",
        Query(f"avg by ({BY}) (unitcost_request_latency_seconds{{{MODEL}}})", NAMED),
    )


def _queues() -> Panel:
    return lines(
        "Running and waiting requests",
        "What servers work on and what queues. A queue beside idle dollars is a batch size or a "
        "scheduler that is set too low.",
        "short",
        Query(f"sum by ({BY}) (unitcost_requests_running{{{MODEL}}})", f"{NAMED} running"),
        Query(f"sum by ({BY}) (unitcost_requests_waiting{{{MODEL}}})", f"{NAMED} waiting"),
    )


def _mix() -> Panel:
    requests = f"({rate(REQUESTS, MODEL, BY)} > 0)"
    kinds = ("input", "cached_input", "output")
    tokens = {kind: rate(TOKENS, f'{MODEL}, type="{kind}"', BY) for kind in kinds}
    return lines(
        "Tokens of a request",
        "Tokens that were computed, taken from the cache, and written, for each request. More of "
        "them is the factor mix of a drift: ask whoever sends them.",
        "short",
        *(Query(f"{rate} / {requests}", f"{NAMED} {kind}") for kind, rate in tokens.items()),
    )


def _busy() -> Panel:
    active = rate(COST, f'{SERVERS}, state="active"', BY)
    return lines(
        "Used part of the cost",
        "Active over all of the cost: what the basis used would leave of it. Low by day: fewer "
        "replicas would do. Near 1: there is no room for a burst.",
        "percentunit",
        Query(f"{active} / ({rate(COST, SERVERS, BY)} > 0)", NAMED),
    )


def _fleet() -> Panel:
    recorded = f'{Recorded.REQUEST_COST}{{cluster=~"$cluster", workload=~"$workload"}}'
    return lines(
        "1,000 requests, whoever counts them ($currency)",
        "All models of a workload together, over the last hour: its dollars by whoever charges its "
        "hosts, its requests by whoever counts them. The one above knows none whose requests a "
        "sidecar counts.",
        "short",
        Query(money(f"1000 * {recorded}"), "{{workload}}"),
    )


def _reported() -> Panel:
    label = 'basis="${basis:text}"'
    return lines(
        "A request, as each host reports it ($currency)",
        "The exporters' own unit cost over their window, by host. It is absent where a workload "
        "runs on several hosts. A host that is dearer than its peers has less load or costs more.",
        "short",
        Query(
            money(f"unitcost_request_cost_usd{{{MODEL}, {label}}}"),
            f"{NAMED} {{{{instance}}}}",
        ),
    )


def _idle() -> Panel:
    spent = rate(COST, f'{SERVERS}, state!="active"', "workload, state")
    return lines(
        "Idle and loading per day ($currency)",
        "What is held and not used, and what is held before it can be used. Idle: fewer replicas. "
        "Loading: fewer or faster starts.",
        "short",
        Query(money(f"{DAY} * {spent}"), "{{workload}} {{state}}"),
        stacked=True,
    )


def _waste() -> Panel:
    return lines(
        "Wasted work per day ($currency)",
        "Active dollars that went into requests which failed or were given up; a part of the cost. "
        "Absent where a server does not say how long those took.",
        "short",
        Query(
            money(f"{DAY} * {rate('unitcost_waste_cost_usd_total', MODEL, 'workload, reason')}"),
            "{{workload}} {{reason}}",
        ),
        stacked=True,
    )


def _failures() -> Panel:
    bad = rate(REQUESTS, f'{MODEL}, outcome!="succeeded"', BY)
    return lines(
        "Requests that do not succeed",
        "Part of the requests that failed or were aborted. Each costs, and is paid for by those "
        "that succeed. Mend it, or find the client that retries.",
        "percentunit",
        Query(f"{bad} / ({rate(REQUESTS, MODEL, BY)} > 0)", NAMED),
    )


def _savings() -> Panel:
    return lines(
        "Saved by the prefix cache, per day ($currency)",
        "What cached input tokens would have cost had they been computed. Nobody paid it. A fall: "
        "a restart, another router, prompts that begin differently.",
        "short",
        Query(money(f"{DAY} * {rate('unitcost_cache_savings_usd_total', MODEL, BY)}"), NAMED),
    )


def _tenants() -> Panel:
    spent = rate("unitcost_tenant_cost_usd_total", MODEL, "workload, tenant")
    return lines(
        "Cost per day by tenant ($currency)",
        "On whose behalf the servers worked, as the gateway labels it; the sum is what the "
        "workloads cost. __other__ is whom nobody named. Absent without tenants.",
        "short",
        Query(money(f"{DAY} * {spent}"), "{{workload}} {{tenant}}"),
        stacked=True,
    )


def _tenant_requests() -> Panel:
    return lines(
        "Requests a second by tenant",
        "Succeeded requests by tenant. One that costs more than its part of the requests sends "
        "longer ones.",
        "reqps",
        Query(
            rate("unitcost_tenant_requests_total", MODEL, "workload, tenant"),
            "{{workload}} {{tenant}}",
        ),
    )


def _coverage() -> Panel:
    return lines(
        "Units that were metered and priced",
        "What part of the units the unit costs rest on. Below 1: the exporter was away, or had no "
        "price; unit costs are then of the rest.",
        "percentunit",
        Query(
            f"min by (workload, instance) (unitcost_unit_coverage_ratio{{{WORKLOAD}}})",
            "{{workload}} {{instance}}",
        ),
    )


def _layers() -> Panel:
    return lines(
        "Layers that disagree",
        "How much a gateway or engine counted more than the layer that is billed; 0 where they "
        "agree. Far from 0: requests reach the engine past the gateway, or a layer counts twice.",
        "percentunit",
        Query(
            f"unitcost_layer_disagreement_ratio{{{WORKLOAD}}}",
            "{{workload}} {{layer}} {{quantity}}",
        ),
    )


def _methods() -> Panel:
    labels = "workload, resource, method, busy_signal"
    return table(
        "How shares are found",
        "By which method each workload's part of a resource is found, and what tells active from "
        "idle. busy_signal none: all of it counts as active, and there is no used basis.",
        Columns(
            {
                "workload": Column("Workload"),
                "resource": Column("Resource"),
                "method": Column("Method"),
                "busy_signal": Column("Busy by"),
            },
            (Column("Hosts", "short"),),
        ),
        Query(f"count by ({labels}) (unitcost_workload_allocation_info{{{WORKLOAD}}})"),
    )
