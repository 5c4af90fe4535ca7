"""Hosts and accelerators: how busy, at what power, what idles for how much, who holds what."""

from unitcost.dashboards.boards import variables
from unitcost.dashboards.boards.layout import Row, dashboard
from unitcost.dashboards.boards.library import Board, Panel
from unitcost.dashboards.boards.panels import Column, Columns, lines, number, table, timeline
from unitcost.dashboards.boards.query import COST, DAY, HOST, RANGE, Query, money, rate
from unitcost.dashboards.names import Uid
from unitcost.dashboards.promql import once

DEVICE = "{{instance}} {{device}}"
BY = "instance, device"


def devices() -> Board:
    """The dashboard of hardware."""
    rows = (
        Row("Now", ((4, _now()),)),
        Row("What idles", ((9, (_idle(), _by_host())), (9, (_holders(),)))),
        Row(
            "Accelerators",
            (
                (8, (_utilisation(), _memory(), _power())),
                (8, (_up(), _throttled(), _activity(), _slices())),
            ),
        ),
        Row("Hosts", ((8, (_cpu(), _ram(), _watts(), _meters())),)),
        Row(
            "Energy and emissions",
            ((8, (_energy(), _device_energy(), _emissions())), (8, (_tariff(), _month()))),
        ),
    )
    return dashboard(
        Uid.DEVICES,
        "Hosts and accelerators",
        "Utilisation, power, energy and idle dollars of hosts and accelerators, and who holds "
        "them.",
        [*variables.hosts(), variables.currency()],
        rows,
        since="now-6h",
    )


def _now() -> tuple[Panel, ...]:
    idle = f'{HOST}, resource=~"gpu:.*", state="idle"'
    return (
        number(
            "Accelerators",
            "Accelerators that answer. Fewer than there are: one fell off the bus, or its driver "
            "is away.",
            "short",
            Query(f"sum (unitcost_device_up{{{HOST}}})"),
        ),
        number(
            "Mean utilisation",
            "Part of the time in which anything ran on the accelerators. High is not full: one "
            "small kernel counts.",
            "percentunit",
            Query(f"avg (unitcost_device_utilization_ratio{{{HOST}}})"),
        ),
        number(
            "Idle accelerators per day ($currency)",
            "What accelerators cost that are held and not busy, or held by nobody.",
            "short",
            Query(money(f"{DAY} * {rate(COST, idle, '')}")),
        ),
        number(
            "Power",
            "All that is metered on the hosts, each watt once.",
            "watt",
            Query(f"sum (unitcost_host_power_watts{{{HOST}}})"),
        ),
        number(
            "Unresolved grants",
            "Devices that a kubelet gave to containers and no collector can see: their cost is "
            "charged to nobody. 0 is right; else see unitcost doctor.",
            "short",
            Query(f"sum (unitcost_unresolved_grants{{{HOST}}})"),
            ((None, "green"), (1, "red")),
        ),
    )


def _idle() -> Panel:
    spent = rate(COST, f'{HOST}, state="idle"', "instance, resource")
    return lines(
        "Idle per day by resource ($currency)",
        "Dollars for what is held and not used, or held by nobody, by host and resource: the "
        "cores, memory and accelerators to give back first.",
        "short",
        Query(money(f"topk(20, {DAY} * {spent})"), "{{instance}} {{resource}}"),
    )


def _by_host() -> Panel:
    return lines(
        "Cost per day by host ($currency)",
        "What each host costs, by who answers: its price, whoever holds it. A step is a price that "
        "changed.",
        "short",
        Query(money(f"{DAY} * {rate(COST, HOST, 'instance')}"), "{{instance}}"),
        stacked=True,
    )


def _holders() -> Panel:
    labels = "instance, resource, workload"
    held = rate("unitcost_held_seconds_total", HOST, labels, RANGE)
    idle = rate("unitcost_held_seconds_total", f'{HOST}, state="idle"', labels, RANGE)
    spent = f"sum by ({labels}) ({once(f'increase({COST}{{{HOST}}}{RANGE})')})"
    return table(
        "Who holds what, over the time range ($currency)",
        "Accelerators, cores and GiB that each workload held on each host, on average, what of it "
        "was idle, and what it cost.",
        Columns(
            {
                "instance": Column("Host"),
                "resource": Column("Resource"),
                "workload": Column("Workload"),
            },
            (Column("Cost", "short"), Column("Held", "short"), Column("Idle", "short")),
        ),
        Query(money(spent)),
        Query(held),
        Query(idle),
    )


def _utilisation() -> Panel:
    return lines(
        "Utilisation",
        "Part of the time in which anything ran on each accelerator. Low on one that is held: a "
        "smaller one, or several workloads on it.",
        "percentunit",
        Query(f"max by ({BY}) (unitcost_device_utilization_ratio{{{HOST}}})", DEVICE),
    )


def _memory() -> Panel:
    used, total = (
        f"max by ({BY}) (unitcost_device_memory_{each}_bytes{{{HOST}}})"
        for each in ("used", "total")
    )
    return lines(
        "Memory in use",
        "Part of each accelerator's memory that is in use. Low: a smaller one would do, or two "
        "models fit. Near 1: no room for a larger batch.",
        "percentunit",
        Query(f"{used} / ({total} > 0)", DEVICE),
    )


def _power() -> Panel:
    return lines(
        "Power of accelerators",
        "What each accelerator draws. Far below its limit while busy: it waits for data, or is "
        "throttled.",
        "watt",
        Query(f"max by ({BY}) (unitcost_device_power_watts{{{HOST}}})", DEVICE),
        Query(f"max by ({BY}) (unitcost_device_power_limit_watts{{{HOST}}})", f"{DEVICE} limit"),
    )


def _up() -> Panel:
    return timeline(
        "Answering",
        "Whether each accelerator answers. Lost: it fell off the bus; drain the host and reset it.",
        Query(f"min by ({BY}) (unitcost_device_up{{{HOST}}})", DEVICE),
        {"1": ("answers", "green"), "0": ("lost", "red")},
    )


def _throttled() -> Panel:
    slow = rate("unitcost_device_throttled_seconds_total", HOST, f"{BY}, reason")
    return lines(
        "Slowed down",
        "Part of the time in which an accelerator was slowed down, by reason. Heat or power: "
        "requests get dearer by the factor speed.",
        "percentunit",
        Query(f"{slow} > 0 or {slow}", f"{DEVICE} {{{{reason}}}}"),
    )


def _activity() -> Panel:
    return lines(
        "Activity",
        "How much of each accelerator worked, by what is looked at. Absent unless "
        "collectors.nvml.gpm is on.",
        "percentunit",
        Query(
            f"max by ({BY}, metric) (unitcost_device_activity_ratio{{{HOST}}})",
            f"{DEVICE} {{{{metric}}}}",
        ),
    )


def _slices() -> Panel:
    labels = "instance, device, mig_instance, profile"
    return table(
        "MIG instances",
        "Compute slices of partitioned accelerators; what their cost is split by. Slices in no "
        "instance are nobody's, and cost all the same.",
        Columns(
            {
                "instance": Column("Host"),
                "device": Column("Accelerator"),
                "mig_instance": Column("Instance"),
                "profile": Column("Profile"),
            },
            (Column("Slices", "short"),),
        ),
        Query(f"max by ({labels}) (unitcost_device_instance_slices{{{HOST}}})"),
    )


def _cpu() -> Panel:
    return lines(
        "CPU utilisation",
        "Part of all logical CPUs of each host that was busy.",
        "percentunit",
        Query(f"max by (instance) (unitcost_host_cpu_utilization_ratio{{{HOST}}})", "{{instance}}"),
    )


def _ram() -> Panel:
    used, total = (
        f"max by (instance) (unitcost_host_memory_{each}_bytes{{{HOST}}})"
        for each in ("used", "total")
    )
    return lines(
        "Memory of hosts in use",
        "Part of each host's memory that could not be given to another process.",
        "percentunit",
        Query(f"{used} / ({total} > 0)", "{{instance}}"),
    )


def _watts() -> Panel:
    return lines(
        "Power of hosts",
        "What each host draws, each watt once. Absent where its processors have no meter.",
        "watt",
        Query(f"sum by (instance) (unitcost_host_power_watts{{{HOST}}})", "{{instance}}"),
    )


def _meters() -> Panel:
    return lines(
        "Power meters",
        "What each meter shows. Meters lie inside of one another, so their sum means nothing.",
        "watt",
        Query(
            f"max by (instance, meter) (unitcost_meter_power_watts{{{HOST}}})",
            "{{instance}} {{meter}}",
        ),
    )


def _energy() -> Panel:
    return lines(
        "Power by workload",
        "Energy that is counted to each workload, by time. On a rented host it is in the rent: it "
        "is told, not charged.",
        "watt",
        Query(rate("unitcost_energy_joules_total", HOST, "workload"), "{{workload}}"),
        stacked=True,
    )


def _device_energy() -> Panel:
    used = f"sum by (instance) (increase(unitcost_device_energy_joules_total{{{HOST}}}{RANGE}))"
    return lines(
        "Energy of accelerators over the time range",
        "Energy that the accelerators of each host have used in as long as the time range is.",
        "joule",
        Query(used, "{{instance}}"),
    )


def _tariff() -> Panel:
    return lines(
        "Price of electricity ($currency per kWh)",
        "What a kWh costs now by the tariff, before PUE. Only where hardware is owned and its "
        "electricity is charged by energy.",
        "short",
        Query(
            money(f"max by (instance) (unitcost_electricity_price_usd_per_kwh{{{HOST}}})"),
            "{{instance}}",
        ),
    )


def _month() -> Panel:
    return lines(
        "Electricity this month",
        "The kWh of the local month by which the tariff's slab is chosen. Absent without slabs.",
        "kwatth",
        Query(f"max by (instance) (unitcost_electricity_month_kwh{{{HOST}}})", "{{instance}}"),
    )


def _emissions() -> Panel:
    grams = rate("unitcost_emissions_grams_total", HOST, "workload")
    return lines(
        "Emissions per day",
        "Grams of CO2 equivalent a day, of energy that was measured. Absent unless carbon is "
        "configured.",
        "massg",
        Query(f"{DAY} * {grams}", "{{workload}}"),
        stacked=True,
    )
