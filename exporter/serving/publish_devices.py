"""Publishing accelerators, meters and pods: what was read this tick, as points."""

from collections.abc import Iterator, Mapping, Sequence

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.carbon import GridIntensity
from unitcost.pricing.container import Pod
from unitcost.pricing.device import Device
from unitcost.pricing.energy import Meter, Scope, outermost
from unitcost.pricing.sample import Quantity, Source
from unitcost.pricing.workload import Account

Points = dict[str, list[Point]]
"""Points by metric name."""
OF_PRODUCT = {
    Quantity.DEVICE_UTILIZATION: "unitcost_device_utilization_ratio",
    Quantity.DEVICE_MEMORY_USED: "unitcost_device_memory_used_bytes",
    Quantity.DEVICE_MEMORY_CAPACITY: "unitcost_device_memory_total_bytes",
    Quantity.DEVICE_POWER_LIMIT: "unitcost_device_power_limit_watts",
}
BY_LABEL = {
    Quantity.DEVICE_THROTTLED: "unitcost_device_throttled_seconds_total",
    Quantity.DEVICE_THROTTLING: "unitcost_device_throttling",
    Quantity.DEVICE_METRIC: "unitcost_device_activity_ratio",
}
_OF_PROCESSORS = frozenset({Scope.NODE, Scope.PSYS, Scope.MODULE, Scope.PACKAGE})
_WEAKEST_LAST = (Source.COUNTER, Source.SENSOR, Source.DERIVED, Source.MODELLED)


def device_points(settler: Settler, observed: Observed) -> Points:
    """Everything about accelerators that was read this tick; what was not read is absent."""
    products = {each.id: (each.id, each.product, each.vendor) for each in observed.devices or ()}
    points: Points = {
        "unitcost_device_up": [
            (products[each.id], float(not each.lost)) for each in observed.devices or ()
        ],
        "unitcost_device_instance_slices": list(_instances(observed.devices or ())),
    }
    for sample in observed.samples:
        product = products.get(sample.subject)
        if product is None:
            continue
        if name := OF_PRODUCT.get(sample.quantity):
            points.setdefault(name, []).append((product, sample.value))
        elif name := BY_LABEL.get(sample.quantity):
            labels = (sample.subject, sample.label)
            points.setdefault(name, []).append((labels, sample.value))
    if observed.kubelet is not None:
        unknown = settler.host.devices.unknown
        points["unitcost_unresolved_grants"] = [((), float(len(unknown)))]
    return points | _power_points(settler, observed.meters, products)


def _instances(devices: Sequence[Device]) -> Iterator[Point]:
    for device in devices:
        for instance in device.instances:
            yield (device.id, instance.id, instance.profile), float(instance.slices)


def _power_points(
    settler: Settler, meters: Sequence[Meter], products: Mapping[str, tuple[str, ...]]
) -> Points:
    points: Points = {"unitcost_meter_power_watts": list(_meters(meters))}
    for each in meters:
        if each.scope is Scope.GPU and each.watts is not None and each.resource in products:
            labels = (*products[each.resource], str(each.power_source))
            points.setdefault("unitcost_device_power_watts", []).append((labels, each.watts))
    measured = outermost([each for each in meters if each.watts is not None])
    watts = measured.watts()
    if watts is not None and any(each.scope in _OF_PROCESSORS for each in measured):
        source = max(measured.sources(), key=_WEAKEST_LAST.index)
        points["unitcost_host_power_watts"] = [((str(source),), watts)]
    if meters:
        rejected = float(settler.power.meter.rejected)
        points["unitcost_energy_readings_rejected_total"] = [((), rejected)]
    return points


def carbon_points(carbon: GridIntensity | None) -> Points:
    """What energy is multiplied by, where emissions are counted."""
    if carbon is None:
        return {}
    labels = (carbon.country, str(carbon.year or ""), carbon.source)
    return {
        "unitcost_grid_intensity_grams_per_kwh": [(labels, float(carbon.grams_per_kwh))],
        "unitcost_emissions_pue_ratio": [((), float(carbon.pue))],
    }


def _meters(meters: Sequence[Meter]) -> Iterator[Point]:
    for meter in meters:
        for averaging, watts in (("average", meter.watts), ("instant", meter.instant_watts)):
            if watts is not None:
                yield (meter.id, str(meter.scope), averaging), watts


def pod_points(settler: Settler, pods: Sequence[Pod], live: frozenset[str]) -> Points:
    """Which containers make up each workload that is shown."""
    owners = settler.host.owners
    accounts: Mapping[tuple[str, str], Account] = owners.tenants.account_of_pod if owners else {}
    found: list[Point] = [
        ((accounts[pod.namespace, pod.name].workload, pod.namespace, pod.name, each.name), 1.0)
        for pod in pods
        if (pod.namespace, pod.name) in accounts
        for each in pod.containers
    ]
    shown = [point for point in dict.fromkeys(found) if point[0][0] in live]
    return {"unitcost_workload_pod_info": shown}
