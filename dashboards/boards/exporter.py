"""unitcost itself: does it see everything, is it fresh, what does it cost, is its ledger well."""

from unitcost.dashboards.boards import variables
from unitcost.dashboards.boards.layout import Row, dashboard
from unitcost.dashboards.boards.library import Board, Panel
from unitcost.dashboards.boards.panels import Column, Columns, lines, number, table, timeline
from unitcost.dashboards.boards.query import HOST, RANGE, RATE, Query
from unitcost.dashboards.names import Uid

HOSTS = "{{instance}}"
GOOD_BAD = {"1": ("good", "green"), "0": ("fails", "red")}


def exporter() -> Board:
    """The dashboard of the exporters."""
    rows = (
        Row("Now", ((4, _now()),)),
        Row(
            "Collectors",
            ((9, (_collectors(), _ages())), (8, (_durations(), _errors(), _dropped()))),
        ),
        Row(
            "Ledger and ticks",
            (
                (8, (_commits(), _ledger(), _size(), _ticks())),
                (8, (_gaps(), _counters(), _clock())),
            ),
        ),
        Row(
            "Telling, items and the fleet", ((8, (_told(), _waiting())), (8, (_items(), _unsent())))
        ),
        Row(
            "What it takes",
            ((8, (_cpu(), _memory(), _requests())), (8, (_versions(), _scopes(), _web_config()))),
        ),
    )
    return dashboard(
        Uid.EXPORTER,
        "unitcost itself",
        "Whether the exporters see everything, are fresh and well, and what they take.",
        variables.hosts(),
        rows,
        since="now-6h",
    )


def _now() -> tuple[Panel, ...]:
    good = ((None, "green"), (1, "red"))
    return (
        number(
            "Exporters",
            "Exporters that answer. Fewer than there are hosts: look at the targets of Prometheus.",
            "short",
            Query(f"count (unitcost_build_info{{{HOST}}})"),
        ),
        number(
            "Collectors that fail",
            "Collectors whose last reading failed. 0 is right; else see below which, and run "
            "unitcost doctor there.",
            "short",
            Query(f"sum (1 - unitcost_collector_up{{{HOST}}})"),
            good,
        ),
        number(
            "Oldest commit",
            "How long ago the last charges were written, on the host where that is longest. More "
            "than a minute: its totals stand still.",
            "s",
            Query(f"max (time() - unitcost_ledger_last_commit_timestamp_seconds{{{HOST}}})"),
            ((None, "green"), (60, "orange"), (300, "red")),
        ),
        number(
            "Ledgers that cannot be written",
            "Hosts whose last write failed. What is held back follows when it can be written "
            "again: free the disk, mend the mount.",
            "short",
            Query(f"sum (1 - unitcost_ledger_writable{{{HOST}}})"),
            good,
        ),
        number(
            "Not accounted for ($)",
            "By how much charges differ from what hosts cost. Always 0; anything else is a defect "
            "to report.",
            "short",
            Query(f"max (abs(unitcost_conservation_residual_usd{{{HOST}}}))"),
            ((None, "green"), (1e-12, "red")),
        ),
    )


def _collectors() -> Panel:
    return timeline(
        "Collectors",
        "Whether each collector's readings succeed. One that fails is carried on as it was last, "
        "or missing. A row that ends: there is nothing for it to read.",
        Query(
            f"min by (instance, collector) (unitcost_collector_up{{{HOST}}})",
            "{{instance}} {{collector}}",
        ),
        GOOD_BAD,
    )


def _ages() -> Panel:
    last = f"unitcost_collector_last_success_timestamp_seconds{{{HOST}}}"
    return lines(
        "Age of readings",
        "How long ago each collector last succeeded. It should stay near the period; a line that "
        "climbs is a collector that hangs or fails.",
        "s",
        Query(f"max by (instance, collector) (time() - {last})", "{{instance}} {{collector}}"),
    )


def _durations() -> Panel:
    took = f"max by (instance, collector) (unitcost_collector_duration_seconds{{{HOST}}})"
    return lines(
        "Time a reading takes",
        "How long each collector's last reading took. Near gather_deadline it will be cut off.",
        "s",
        Query(took, "{{instance}} {{collector}}"),
    )


def _errors() -> Panel:
    failed = f"increase(unitcost_collector_errors_total{{{HOST}}}{RATE})"
    return lines(
        "Errors of collectors",
        "Readings, or parts of one, that failed or were rejected, by kind. The log says each kind "
        "once.",
        "short",
        Query(
            f"sum by (instance, collector, kind) ({failed})",
            "{{instance}} {{collector}} {{kind}}",
        ),
    )


def _dropped() -> Panel:
    dropped = f"increase(unitcost_series_dropped_total{{{HOST}}}{RATE})"
    return lines(
        "Series left out",
        "Series that were not served, by reason. Limit: too many workloads or models; the rest is "
        "an input that made no sense.",
        "short",
        Query(f"sum by (instance, reason) ({dropped})", "{{instance}} {{reason}}"),
    )


def _commits() -> Panel:
    return lines(
        "Age of the last commit",
        "How long ago charges were last written. It should stay near the period.",
        "s",
        Query(
            f"max by (instance) (time() - unitcost_ledger_last_commit_timestamp_seconds{{{HOST}}})",
            HOSTS,
        ),
    )


def _ledger() -> Panel:
    return timeline(
        "Ledger writable",
        "Whether the last write succeeded. While it fails totals stand still and charges wait.",
        Query(f"min by (instance) (unitcost_ledger_writable{{{HOST}}})", HOSTS),
        GOOD_BAD,
    )


def _size() -> Panel:
    return lines(
        "Size of ledgers",
        "Size of the ledger's files. Steady growth is normal; unitcost ledger purge takes out what "
        "is old.",
        "bytes",
        Query(f"max by (instance) (unitcost_ledger_size_bytes{{{HOST}}})", HOSTS),
    )


def _ticks() -> Panel:
    return lines(
        "Time a tick takes",
        "From reading to rendering. Near the period: too many workloads or servers for it; raise "
        "the period.",
        "s",
        Query(f"max by (instance) (unitcost_tick_duration_seconds{{{HOST}}})", HOSTS),
    )


def _gaps() -> Panel:
    return lines(
        "Time without metering",
        "Seconds in which nothing was metered, over the time range, by what became of them. "
        "Unmetered and unknown ones belong to nobody in particular.",
        "s",
        Query(
            f"sum by (instance, kind) (increase(unitcost_gap_seconds_total{{{HOST}}}{RANGE}))",
            "{{instance}} {{kind}}",
        ),
    )


def _counters() -> Panel:
    metrics = {
        "writes failed": "unitcost_ledger_write_errors_total",
        "ticks failed": "unitcost_tick_failures_total",
        "ledgers set aside": "unitcost_ledger_set_aside_total",
    }
    return lines(
        "What should not happen",
        "Failed writes, failed ticks and ledgers found corrupt. All should be 0: keep the log and "
        "the ledger, and report it.",
        "short",
        *(
            Query(f"sum by (instance) (increase({metric}{{{HOST}}}{RATE}))", f"{HOSTS} {name}")
            for name, metric in metrics.items()
        ),
    )


def _clock() -> Panel:
    return lines(
        "Steps of the clock",
        "How often the wall clock jumped. Durations do not follow it; days and hours do. Often: "
        "mend the host's time.",
        "short",
        Query(f"sum by (instance) (increase(unitcost_clock_steps_total{{{HOST}}}{RATE}))", HOSTS),
    )


def _told() -> Panel:
    posts = f"increase(unitcost_notifications_total{{{HOST}}}{RATE})"
    return lines(
        "Posts to Slack and webhooks",
        "What exporters have told by themselves, by outcome. Failed ones are tried again; dropped "
        "ones are lost. Absent where nobody is to be told.",
        "short",
        Query(
            f"sum by (instance, channel, outcome) ({posts})",
            "{{instance}} {{channel}} {{outcome}}",
        ),
    )


def _waiting() -> Panel:
    return lines(
        "Posts that wait",
        "Posts that a channel has not got yet. A line that climbs: the channel is away, or its "
        "address is wrong.",
        "short",
        Query(
            f"max by (instance, channel) (unitcost_notifications_waiting{{{HOST}}})",
            "{{instance}} {{channel}}",
        ),
    )


def _unsent() -> Panel:
    return lines(
        "Hours that the fleet's ledger lacks",
        "Clock hours that wait to be sent, and what kept them. A line that climbs: the fleet's "
        "ledger is away; conflict: two agents say that they are one host. Nothing is lost.",
        "short",
        Query(
            f"max by (instance) (unitcost_central_unsent_deliveries{{{HOST}}})", f"{HOSTS} hours"
        ),
        Query(
            f"sum by (instance, kind) (increase(unitcost_central_errors_total{{{HOST}}}{RATE}))",
            "{{instance}} {{kind}}",
        ),
        Query(
            "max by (instance) (time() - "
            f"unitcost_central_last_success_timestamp_seconds{{{HOST}}}) / 3600",
            f"{HOSTS} hours since it had all",
        ),
    )


def _items() -> Panel:
    return lines(
        "Items that are not booked",
        "Items of the configuration or the items file that make no sense, and files that cannot be "
        "read. 0 is right; the log says what is wrong.",
        "short",
        Query(f"max by (instance) (unitcost_items_rejected{{{HOST}}})", f"{HOSTS} rejected"),
        Query(f"max by (instance) (1 - unitcost_items_file_up{{{HOST}}})", f"{HOSTS} no file"),
    )


def _cpu() -> Panel:
    return lines(
        "CPU of the exporter",
        "Cores that the exporter itself takes; about a hundredth is usual.",
        "short",
        Query(
            f"sum by (instance) (rate(process_cpu_seconds_total{{{HOST}}}{RATE}))",
            HOSTS,
        ),
    )


def _memory() -> Panel:
    return lines(
        "Memory of the exporter",
        "Resident memory of the exporter itself. A slope over days is a leak to report.",
        "bytes",
        Query(f"max by (instance) (process_resident_memory_bytes{{{HOST}}})", HOSTS),
    )


def _requests() -> Panel:
    asked = f"rate(unitcost_http_requests_total{{{HOST}}}{RATE})"
    return lines(
        "Requests to the exporter",
        "Scrapes and other requests, by path and status.",
        "reqps",
        Query(f"sum by (instance, path, code) ({asked})", "{{instance}} {{path}} {{code}}"),
    )


def _web_config() -> Panel:
    broken = f"increase(unitcost_web_config_reload_failures_total{{{HOST}}}{RATE})"
    return lines(
        "Web configuration",
        "Exporters whose web configuration, or a certificate that it names, changed to what cannot "
        "be used, so that the old goes on; and how often. 0 is right; the log says what is wrong.",
        "short",
        Query(f"max by (instance) (1 - unitcost_web_config_up{{{HOST}}})", f"{HOSTS} not in use"),
        Query(f"sum by (instance) ({broken})", f"{HOSTS} failures"),
    )


def _versions() -> Panel:
    return table(
        "Versions",
        "Which version runs where. After an upgrade there should be one.",
        Columns({"version": Column("Version")}, (Column("Hosts", "short"),)),
        Query(f"count by (version) (unitcost_build_info{{{HOST}}})"),
    )


def _scopes() -> Panel:
    return table(
        "What is charged",
        "How many exporters charge a whole host, one pod of a host, or nothing (they count units). "
        "Dollars of a pod whose host is charged as a whole are counted once, on the host.",
        Columns({"scope": Column("Scope")}, (Column("Exporters", "short"),)),
        Query(f"count by (scope) (unitcost_host_info{{{HOST}}})"),
    )
