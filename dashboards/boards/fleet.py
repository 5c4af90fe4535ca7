"""Fleet, for FinOps: what everything costs, who pays for it, what of it is wasted; prices."""

from unitcost.dashboards.boards import variables
from unitcost.dashboards.boards.layout import Row, dashboard
from unitcost.dashboards.boards.library import Board, Panel
from unitcost.dashboards.boards.panels import (
    AMBER,
    GREEN,
    RED,
    Column,
    Columns,
    lines,
    number,
    table,
    timeline,
)
from unitcost.dashboards.boards.query import (
    COST,
    DAY,
    HOST,
    RANGE,
    RATE,
    Query,
    money,
    per_day,
    rate,
)
from unitcost.dashboards.names import RESERVED, T, Uid
from unitcost.dashboards.promql import once

JOIN = f"{T}, workload"


def fleet() -> Board:
    """The dashboard of all hosts."""
    rows = (
        Row("Now", ((4, _now()),)),
        Row(
            "Who",
            (
                (9, (_by_owner(), _by_workload())),
                (9, (_by_state(), _by_kind())),
                (10, (_workloads(),)),
            ),
        ),
        Row("Budgets", ((8, (_budgets(), _budget_pace())),)),
        Row("What for", ((9, (_by_resource(), _by_component(), _corrections())),)),
        Row("Beside compute", ((8, (_items(), _opportunity())),)),
        Row("Prices", ((9, (_prices(), _unpriced())), (8, (_discounts(), _spot(), _sources())))),
    )
    return dashboard(
        Uid.FLEET,
        "Fleet",
        "What all hosts cost a day, by owner, workload, state and resource; what nobody uses; "
        "prices.",
        [*variables.hosts(), variables.owner(), variables.currency()],
        rows,
    )


def _owned(expr: str) -> str:
    """An expression by workload of each host, with the owner as a label; nobody's is `nobody`."""
    info = f'max by ({JOIN}, owner) (unitcost_workload_info{{{HOST}, owner=~"$owner"}})'
    return f"({expr}) * on ({JOIN}) group_left (owner) {info}"


def _now() -> tuple[Panel, ...]:
    total = rate(COST, HOST, "")
    idle = rate(COST, f'{HOST}, state="idle", workload!~"{RESERVED}"', "")
    free = rate(COST, f'{HOST}, workload="__unallocated__"', "")
    return (
        number(
            "Cost per day ($currency)",
            "What all chosen hosts cost at the present rate, in a day. Hosts without a price are "
            "not in it: see Unpriced hosts.",
            "short",
            Query(money(f"{DAY} * {total}")),
        ),
        number(
            "Held and idle",
            "Part of all cost that workloads hold and do not use. Above a half, look below for "
            "whose it is, and reserve less or run fewer replicas.",
            "percentunit",
            Query(f"{idle} / {total}"),
            ((None, GREEN), (0.4, AMBER), (0.6, RED)),
        ),
        number(
            "Held by nobody",
            "Part of all cost of which no workload holds anything. Scale down, or pack more on "
            "fewer hosts.",
            "percentunit",
            Query(f"{free} / {total}"),
            ((None, GREEN), (0.3, AMBER), (0.5, RED)),
        ),
        number(
            "Hosts",
            "Exporters that answer. Fewer than there are hosts: some are not scraped, and their "
            "cost is missing here.",
            "short",
            Query(f"count (unitcost_build_info{{{HOST}}})"),
        ),
        number(
            "Unpriced hosts",
            "Hosts of which some component has no price, so that their dollars are unknown. 0 is "
            "right; else run `unitcost prices explain` on them.",
            "short",
            Query(f"sum (max by ({T}) (unitcost_resource_unpriced{{{HOST}}}))"),
            ((None, GREEN), (1, RED)),
        ),
        number(
            "Not accounted for ($)",
            "By how much charges differ from what hosts cost. Always 0; anything else is a defect "
            "of unitcost to report.",
            "short",
            Query(f"max (abs(unitcost_conservation_residual_usd{{{HOST}}}))"),
            ((None, GREEN), (1e-12, RED)),
        ),
    )


def _named(expr: str) -> str:
    """With a name for the owner of what has none."""
    return f'label_replace({expr}, "owner", "no owner", "owner", "")'


def _by_owner() -> Panel:
    return lines(
        "Cost per day by owner ($currency)",
        "Whom the dollars are charged to, by the owner of each workload. `no owner`: "
        "nobody has given the workload one (workloads[].owner).",
        "short",
        Query(
            money(f"sum by (owner) ({_named(_owned(per_day(HOST, JOIN)))})"),
            "{{owner}}",
        ),
        stacked=True,
    )


def _by_workload() -> Panel:
    return lines(
        "Cost per day by workload ($currency)",
        "All workloads, those that are nobody's included: together they are what the hosts cost. A "
        "step is a price, a scale change or a new workload.",
        "short",
        Query(money(per_day(HOST, "workload")), "{{workload}}"),
        stacked=True,
    )


def _by_state() -> Panel:
    return lines(
        "Cost per day by state ($currency)",
        "Active is used; idle is held and not used; loading is held before it can be used. Idle "
        "that grows while active does not is waste.",
        "short",
        Query(money(per_day(HOST, "state")), "{{state}}"),
        stacked=True,
    )


def _by_kind() -> Panel:
    return lines(
        "Cost per day by kind ($currency)",
        "Inference, training, and all other: systems, idle hosts, programs that are no workload. "
        "Much other: name what runs there in the configuration.",
        "short",
        Query(money(per_day(HOST, "kind")), "{{kind}}"),
        stacked=True,
    )


def _workloads() -> Panel:
    def over(selector: str) -> str:
        spent = f"sum by ({JOIN}) ({once(f'increase({COST}{{{selector}}}{RANGE})')})"
        return f"sum by (workload, owner) ({_owned(spent)})"

    idle = over(f'{HOST}, state="idle"')
    link = "/d/unitcost-drift?${datasource:queryparam}&var-workload=${__value.raw}"
    return table(
        "Workloads over the time range ($currency)",
        "Each workload's dollars over the chosen time, and what of them was idle or loading. Start "
        "with the first row; a click on its name opens its drift.",
        Columns(
            {"workload": Column("Workload", link=link), "owner": Column("Owner")},
            (
                Column("Cost", "short"),
                Column("Idle", "short"),
                Column("Loading", "short"),
                Column("Part that idles", "percentunit"),
            ),
        ),
        Query(money(over(HOST))),
        Query(money(idle)),
        Query(money(over(f'{HOST}, state="loading"'))),
        Query(f"{idle} / ({over(HOST)} > 0)"),
    )


def _budgets() -> Panel:
    spent = f"sum by (budget) ({once(f'unitcost_budget_spent_usd{{{HOST}}}')})"
    allowed = f"max by (budget) (unitcost_budget_usd{{{HOST}}})"
    begun = (
        f"sum by (budget) (unitcost_budget_spent_usd{{{HOST}}} / on ({T}, budget) "
        f"(time() - unitcost_budget_since_timestamp_seconds{{{HOST}}} > 0))"
    )
    ends = f"max by (budget) (unitcost_budget_period_end_timestamp_seconds{{{HOST}}})"
    return table(
        "Budgets ($currency)",
        "What each budget allows for its period, what is spent, and what that comes to at the pace "
        "so far. Spent is the least it can be where Whole is no. Over 1: see its runbook.",
        Columns(
            {"budget": Column("Budget")},
            (
                Column("Spent", "percentunit"),
                Column("Projected", "percentunit"),
                Column("Spent, amount", "short"),
                Column("Allowed", "short"),
                Column("Ends", "dateTimeAsIso"),
                Column("Whole", "bool_yes_no"),
            ),
        ),
        Query(f"{spent} / ({allowed} > 0)"),
        Query(f"({spent} + {begun} * ({ends} - time())) / ({allowed} > 0)"),
        Query(money(spent)),
        Query(money(allowed)),
        Query(f"{ends} * 1000"),
        Query(f"min by (budget) (unitcost_budget_spent_whole{{{HOST}}})"),
    )


def _budget_pace() -> Panel:
    spent = f"sum by (budget) ({once(f'unitcost_budget_spent_usd{{{HOST}}}')})"
    allowed = f"max by (budget) (unitcost_budget_usd{{{HOST}}})"
    begins, ends = (
        f"max by (budget) (unitcost_budget_period_{each}_timestamp_seconds{{{HOST}}})"
        for each in ("start", "end")
    )
    return lines(
        "Budgets over their periods",
        "Part of each budget that is spent, and part of its period that is over. A budget whose "
        "line is above that of its time is spent too fast.",
        "percentunit",
        Query(f"{spent} / ({allowed} > 0)", "{{budget}}"),
        Query(f"(time() - {begins}) / ({ends} - {begins})", "{{budget}} time"),
    )


def _items() -> Panel:
    booked = f"sum by (workload, item) (unitcost_item_cost_usd_total{{{HOST}}})"
    taken = f"sum by (workload, item) (unitcost_item_cost_correction_usd{{{HOST}}})"
    return lines(
        "Items so far ($currency)",
        "What is stated rather than measured: data, labelling, staff; with what was taken back. It "
        "is in no other panel. Items that are not booked: see the log, and unitcost items.",
        "short",
        Query(money(f"{booked} + {taken} or {booked}"), "{{workload}} {{item}}"),
    )


def _opportunity() -> Panel:
    idle = f"rate(unitcost_memo_opportunity_cost_usd_total{{{HOST}}}{RATE})"
    return lines(
        "Opportunity of idle accelerators per day ($currency)",
        "What idle accelerators would have cost or earned at the rate that the configuration "
        "states. Nobody pays it: never add it to anything.",
        "short",
        Query(money(f"{DAY} * sum by (workload) ({idle})"), "{{workload}}"),
    )


def _by_resource() -> Panel:
    each = once(f"rate({COST}{{{HOST}}}{RATE})")
    kinds = f'label_replace({each}, "part", "$1", "resource", "([^:]+).*")'
    return lines(
        "Cost per day by resource ($currency)",
        "GPUs, CPU, memory, and the rest of each host's price. The rule that splits a price is in "
        "unitcost_price_split_info.",
        "short",
        Query(money(f"{DAY} * sum by (part) ({kinds})"), "{{part}}"),
        stacked=True,
    )


def _by_component() -> Panel:
    spent = once(f"rate(unitcost_resource_cost_usd_total{{{HOST}}}{RATE})")
    return lines(
        "Cost per day by component ($currency)",
        "Rent for what is rented; amortisation, electricity and overhead for what is owned. "
        "Components that are missing have no price.",
        "short",
        Query(money(f"{DAY} * sum by (component) ({spent})"), "{{component}}"),
        stacked=True,
    )


def _corrections() -> Panel:
    return lines(
        "Corrections so far ($currency)",
        "What prices that were learnt late add to all cost above, or take from it. It is in no "
        "other panel; a large one means that prices come too late.",
        "short",
        Query(money(f"sum by (workload) (unitcost_cost_correction_usd{{{HOST}}})"), "{{workload}}"),
    )


def _prices() -> Panel:
    labels = f"{T}, resource, sku, price_model, source"
    price = f"unitcost_price_usd_per_hour{{{HOST}}}"
    age = f"time() - unitcost_price_as_of_timestamp_seconds{{{HOST}}}"
    model = f"max by ({labels}) ({price}) * 0 + 1"
    return table(
        "Prices in use",
        "What each resource costs an hour, who says so, and how old that is. An old Spot price, "
        "or a source that is not the one you meant: see unitcost prices explain.",
        Columns(
            {
                "instance": Column("Host"),
                "resource": Column("Resource"),
                "sku": Column("Type"),
                "price_model": Column("Terms"),
                "source": Column("Source"),
            },
            (Column("USD an hour", "short"), Column("Age", "s")),
        ),
        Query(f"max by ({labels}) ({price})"),
        Query(f"({model}) * on ({T}, resource) group_left () max by ({T}, resource) ({age})"),
    )


def _discounts() -> Panel:
    paid, listed = (
        f"sum by (instance) ({metric}{{{HOST}}})"
        for metric in ("unitcost_price_usd_per_hour", "unitcost_list_price_usd_per_hour")
    )
    return lines(
        "Paid of the list price",
        "What each host costs over its list price: 0.8 is a discount of 20 %. 1 where you have "
        "agreed on a discount: it is not configured, or it ended.",
        "percentunit",
        Query(f"{paid} / ({listed} > 0)", "{{instance}}"),
    )


def _spot() -> Panel:
    price = f'unitcost_price_usd_per_hour{{{HOST}, price_model="spot"}}'
    on_demand = f"unitcost_on_demand_price_usd_per_hour{{{HOST}}}"
    return lines(
        "Spot over on demand",
        "What each Spot host costs over what it would on demand. Above 1 it costs more, and can be "
        "taken away besides: move it.",
        "percentunit",
        Query(f"sum by (instance) ({price}) / max by (instance) ({on_demand})", "{{instance}}"),
    )


def _sources() -> Panel:
    return timeline(
        "Price sources",
        "Whether each source of prices answers. While one fails, what it said last is used, with "
        "its date.",
        Query(
            f"min by (instance, source) (unitcost_price_source_up{{{HOST}}})",
            "{{instance}} {{source}}",
        ),
        {"1": ("answers", GREEN), "0": ("fails", RED)},
    )


def _unpriced() -> Panel:
    return table(
        "Without a price",
        "Components of hosts that nobody has given a price. Their time and units are counted, "
        "their dollars are absent. Empty is good.",
        Columns(
            {
                "instance": Column("Host"),
                "resource": Column("Resource"),
                "component": Column("Component"),
            },
            (Column("Unpriced", "bool_yes_no"),),
        ),
        Query(f"max by ({T}, resource, component) (unitcost_resource_unpriced{{{HOST}}}) > 0"),
    )
