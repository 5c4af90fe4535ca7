"""Alerts about prices and about the exporter itself: what makes the other figures wrong."""

from unitcost.dashboards.names import TARGET, Recorded, T, Uid, by
from unitcost.dashboards.promql import block, lasting
from unitcost.dashboards.rules.alerts_cost import since
from unitcost.dashboards.rules.costs import spot_premium
from unitcost.dashboards.rules.model import Alert, Severity, Value
from unitcost.dashboards.settings import DAY, Settings, number

COLLECTOR = (*TARGET, "collector")


def price_alerts(settings: Settings) -> tuple[Alert, ...]:
    """Hosts without a price, and prices that may hold no longer."""
    return (
        _unpriced(settings),
        _stale_price(settings),
        _source_down(settings),
        _spot_above(settings),
    )


def health_alerts(settings: Settings) -> tuple[Alert, ...]:
    """The exporter: away, standing still, blind in one eye, or wrong."""
    return (
        _exporter_down(settings),
        _stale_data(settings),
        _collector_down(settings),
        _conservation(settings),
    )


def _host_usd(settings: Settings) -> Value:
    """What the host cost a day when it was last heard of."""
    seen = f"last_over_time(unitcost_price_usd_per_hour{{{{{{match}}}}}}[{settings.span(DAY)}])"
    return Value(f"24 * sum{{by}} ({seen})", TARGET)


def _unpriced(settings: Settings) -> Alert:
    after = settings.scaled(settings.unpriced_after)
    expr = f"sum by ({T}) (unitcost_resource_unpriced)\n{lasting('unpriced', TARGET, after)}"
    return Alert(
        name="UnitcostHostUnpriced",
        expr=expr,
        severity=Severity.WARNING,
        means="a host, or a component of its cost, has no price: its dollars are unknown",
        summary="{instance} has no price since {since|time}",
        description="{value|number} parts of what {instance} costs have no price. Time and units "
        "are counted, dollars are not: all sums over the fleet are too low by what it costs.",
        dashboard=Uid.FLEET,
        variables=TARGET,
        values={"since": since("unpriced", TARGET)},
        owner=settings.team,
    )


def _stale_price(settings: Settings) -> Alert:
    def older(model: str, seconds: float) -> str:
        return block(
            """
            max by (<T>, source) (
              (time() - unitcost_price_as_of_timestamp_seconds)
              * on (<T>, resource) group_left (source) topk by (<T>, resource) (
                1, unitcost_price_usd_per_hour{price_model<model>} * 0 + 1
              )
            ) > <limit>
            """,
            T=T,
            model=model,
            limit=number(settings.scaled(seconds)),
        )

    expr = block(
        """
        (
          <spot>
        )
        or (
          <others>
        )
        """,
        spot=older('="spot"', settings.stale_spot_price_after),
        others=older('!="spot"', settings.stale_price_after),
    )
    return Alert(
        name="UnitcostPriceStale",
        expr=expr,
        severity=Severity.WARNING,
        means="the price in use was last known to be right too long ago",
        summary="{instance}: the price in use is {value|duration} old",
        description="What {instance} costs ({usd|usd} a day) rests on a price from {source} that "
        "was last known to be right {value|duration} ago.",
        dashboard=Uid.FLEET,
        variables=TARGET,
        values={"usd": _host_usd(settings)},
        owner=settings.team,
    )


def _source_down(settings: Settings) -> Alert:
    after = settings.scaled(settings.source_down_after)
    on = by(*TARGET, "source")
    condition = f'{Recorded.CONDITION_SINCE}{{condition="source_down"}}'
    return Alert(
        name="UnitcostPriceSourceDown",
        expr=f"max by ({on}) (time() - {condition}) >= {number(after)}",
        severity=Severity.WARNING,
        means="a price source fails: prices go on as it last said them",
        summary="{instance}: price source {source} has failed since {since|time}",
        description="{source} has not answered for {value|duration}. What it said last is used, "
        "with its date; a change of price since then is not known. The host costs {usd|usd} a day.",
        dashboard=Uid.FLEET,
        variables=TARGET,
        values={
            "since": since("source_down", (*TARGET, "source")),
            "usd": _host_usd(settings),
        },
        owner=settings.team,
    )


def _spot_above(settings: Settings) -> Alert:
    after = settings.scaled(settings.spot_above_after)
    return Alert(
        name="UnitcostSpotAboveOnDemand",
        expr=f"24 * ({spot_premium(0.98)})\n{lasting('spot_above', TARGET, after)}",
        severity=Severity.WARNING,
        means="a Spot host costs more than it would on demand",
        summary="{instance}: Spot costs {value|usd} a day more than on demand, since {since|time}",
        description="{instance} costs {usd|usd} a day on Spot, {value|usd} more than it would on "
        "demand, and can be taken away besides.",
        dashboard=Uid.FLEET,
        variables=TARGET,
        values={"since": since("spot_above", TARGET), "usd": _host_usd(settings)},
        owner=settings.team,
    )


def _exporter_down(settings: Settings) -> Alert:
    after = settings.scaled(settings.stale_data_after)
    condition = f'{Recorded.CONDITION_SINCE}{{condition="exporter_down"}}'
    return Alert(
        name="UnitcostExporterDown",
        expr=f"max by ({T}) (time() - {condition}) >= {number(after)}",
        severity=Severity.CRITICAL,
        means="a host's exporter cannot be scraped",
        summary="{instance}: no cost data since {since|time}",
        description="The exporter of {instance} has not answered for {value|duration}. The host "
        "goes on costing {usd|usd} a day, which is in no figure until the exporter is back; what "
        "can then be known of the gap is charged.",
        dashboard=Uid.EXPORTER,
        variables=TARGET,
        values={"since": since("exporter_down", TARGET), "usd": _host_usd(settings)},
        owner=settings.team,
    )


def _stale_data(settings: Settings) -> Alert:
    limit = settings.scaled(settings.stale_data_after)
    return Alert(
        name="UnitcostCostDataStale",
        expr=f"max by ({T}) (time() - unitcost_ledger_last_commit_timestamp_seconds) "
        f"> {number(limit)}",
        severity=Severity.CRITICAL,
        means="an exporter answers, but has committed no charges for too long: its totals stand "
        "still",
        summary="{instance}: cost data is {value|duration} old",
        description="Nothing has been written to the ledger of {instance} for {value|duration}: a "
        "full disk, a ledger that cannot be written, or ticks that fail. What is held back is "
        "charged when it can be written again. The host costs {usd|usd} a day.",
        dashboard=Uid.EXPORTER,
        variables=TARGET,
        values={"usd": _host_usd(settings)},
        owner=settings.team,
    )


def _collector_down(settings: Settings) -> Alert:
    after = settings.scaled(settings.collector_down_after)
    up = f"avg_over_time(unitcost_collector_up[{settings.span(settings.rate_window)}])"
    on = by(*COLLECTOR)
    return Alert(
        name="UnitcostCollectorDown",
        expr=f"1 - max by ({on}) ({up})\n{lasting('collector_down', COLLECTOR, after)}",
        severity=Severity.WARNING,
        means="a collector fails: what it reads is carried on or missing",
        summary="{instance}: collector {collector} fails since {since|time}",
        description="Collector {collector} of {instance} fails. What it knows is charged as it was "
        "last, so dollars are complete and may be the wrong workload's; units may be missing. The "
        "host costs {usd|usd} a day.",
        dashboard=Uid.EXPORTER,
        variables=TARGET,
        values={"since": since("collector_down", COLLECTOR), "usd": _host_usd(settings)},
        owner=settings.team,
    )


def _conservation(settings: Settings) -> Alert:
    return Alert(
        name="UnitcostConservationBroken",
        expr=f"max by ({T}) (abs(unitcost_conservation_residual_usd)) > 0",
        severity=Severity.CRITICAL,
        means="charges do not sum to what the host cost: a defect of the exporter",
        summary="{instance}: charges are off by {value|small_usd}",
        description="On {instance} all charges differ from what its resources cost by "
        "{value|small_usd}. That is always 0 unless unitcost has a defect: keep the ledger, and "
        "report it.",
        dashboard=Uid.EXPORTER,
        variables=TARGET,
        owner=settings.team,
    )
