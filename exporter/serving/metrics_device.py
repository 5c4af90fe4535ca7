"""Metrics of accelerators, of power and energy, and of who was given what."""

from unitcost.exporter.serving.metric import Metric

_DEVICE = ("device", "product", "vendor")
_ONCE = "Accelerators only, each watt once: safe to sum."

DEVICES = (
    Metric(
        "unitcost_device_up",
        "gauge",
        "1 if the accelerator answers, 0 if it is lost (fell off the bus). Absent while its driver "
        "is away.",
        _DEVICE,
        "0 or 1",
    ),
    Metric(
        "unitcost_device_utilization_ratio",
        "gauge",
        "Part of the time in which anything ran on the accelerator, from 0 to 1. Not how full it "
        "was: one small kernel makes it 1. Absent where it is not measured (MIG, vGPU).",
        _DEVICE,
        "ratio",
    ),
    Metric(
        "unitcost_device_activity_ratio",
        "gauge",
        "How much of the accelerator worked over the last tick, from 0 to 1, by what is looked at "
        "(graphics_engine_active, sm_active, tensor_active, dram_active). Off by default: "
        "collectors.nvml.gpm.",
        ("device", "metric"),
        "ratio",
    ),
    Metric(
        "unitcost_device_memory_used_bytes",
        "gauge",
        "Memory of the accelerator that is in use, what the driver reserves included.",
        _DEVICE,
        "bytes",
    ),
    Metric(
        "unitcost_device_memory_total_bytes",
        "gauge",
        "Memory of the accelerator.",
        _DEVICE,
        "bytes",
    ),
    Metric(
        "unitcost_device_power_watts",
        "gauge",
        f"Power of the accelerator, the mean of about a second. {_ONCE} The source says how it was "
        "obtained.",
        (*_DEVICE, "source"),
        "W",
    ),
    Metric(
        "unitcost_device_power_limit_watts",
        "gauge",
        "Power the accelerator is held to, as enforced now.",
        _DEVICE,
        "W",
    ),
    Metric(
        "unitcost_device_energy_joules_total",
        "counter",
        f"Energy the accelerator has used while it was metered. {_ONCE} Source counter: its own "
        "energy counter; sensor: power over time, where it has none.",
        (*_DEVICE, "source"),
        "J",
    ),
    Metric(
        "unitcost_device_throttled_seconds_total",
        "counter",
        "Time in which the accelerator was slowed down, by reason, as its driver counts it since "
        "it was loaded.",
        ("device", "reason"),
        "seconds",
    ),
    Metric(
        "unitcost_device_throttling",
        "gauge",
        "1 while the accelerator is slowed down for this reason, else 0.",
        ("device", "reason"),
        "0 or 1",
    ),
    Metric(
        "unitcost_device_instance_slices",
        "gauge",
        "Compute slices of each MIG instance of a partitioned accelerator; what its cost is split "
        "by.",
        ("device", "mig_instance", "profile"),
        "slices",
    ),
    Metric(
        "unitcost_unresolved_grants",
        "gauge",
        "Devices that the kubelet gave to containers and that no collector can see, so that their "
        "cost is charged to nobody. Absent without a kubelet.",
        (),
        "devices",
    ),
)

ENERGY = (
    Metric(
        "unitcost_energy_joules_total",
        "counter",
        "Energy counted to each workload by what it held and how it worked; summed over all "
        "workloads it is what the resource used. No dollars are in it: rent includes electricity.",
        ("workload", "resource", "source"),
        "J",
    ),
    Metric(
        "unitcost_host_power_watts",
        "gauge",
        "Power of all that is metered on this host, each watt once: the whole node's meter, else "
        "processors, memory and accelerators. Absent where processors have no meter.",
        ("source",),
        "W",
    ),
    Metric(
        "unitcost_meter_power_watts",
        "gauge",
        "What each power meter of this host shows. Meters lie inside of one another (a core in its "
        "package, all in the node): never sum them.",
        ("meter", "scope", "averaging"),
        "W",
    ),
    Metric(
        "unitcost_energy_readings_rejected_total",
        "counter",
        "Readings of energy counters since the start that no hardware can have meant: more power "
        "than the limit allows.",
        (),
        "readings",
    ),
)

CARBON = (
    Metric(
        "unitcost_emissions_grams_total",
        "counter",
        "CO2 equivalent of the energy that was measured: energy x PUE x grid intensity, counted to "
        "workloads as the energy is. Location-based. Only what unitcost_energy_joules_total has "
        "is in it. Absent unless carbon is configured.",
        ("workload", "resource"),
        "g",
    ),
    Metric(
        "unitcost_grid_intensity_grams_per_kwh",
        "gauge",
        "Grams of CO2 equivalent for each kWh from the grid, as used now: who says so, and of "
        "which country and year, where it is a table's figure.",
        ("country", "year", "source"),
        "g/kWh",
    ),
    Metric(
        "unitcost_emissions_pue_ratio",
        "gauge",
        "Energy of the building for each unit of the host's, as used for emissions. 1 where none "
        "is configured: losses and cooling are then not in them.",
        (),
        "ratio",
    ),
)

PODS = (
    Metric(
        "unitcost_workload_pod_info",
        "gauge",
        "Always 1; the containers that make up a workload now.",
        ("workload", "workload_namespace", "workload_pod", "workload_container"),
        "always 1",
    ),
)
