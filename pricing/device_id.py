"""What the ids that device plug-ins give to devices name: a GPU, a part of one, a share of that."""

import re
from dataclasses import dataclass

_NUMBER = "[0-9]{1,9}"
_UUID = "[0-9A-Za-z-]{1,80}"
_REPLICA = re.compile(f"::{_NUMBER}|/vgpu{_NUMBER}")
_FORMS = re.compile(
    f"(?P<uuid>(?:GPU|MIG)-(?!GPU-){_UUID})"
    f"|MIG-(?P<parent>GPU-{_UUID})/(?P<old_gi>{_NUMBER})/(?P<old_ci>{_NUMBER})"
    f"|nvidia(?P<minor>{_NUMBER})(?:/gi(?P<gi>{_NUMBER}))?"
)


@dataclass(frozen=True, slots=True)
class DeviceId:
    """A device id taken apart; what it does not say is empty or None, all of it if it is opaque.

    `base` is the id without the replica and `replica` the rest (``::3`` of time slicing and MPS,
    ``/vgpu3`` on GKE), so that the two together are the id. `uuid` is NVML's, ``GPU-…`` or
    ``MIG-…``; with a `gpu_instance` it is that of the GPU. `minor` is the number in
    ``/dev/nvidia<minor>``.
    """

    base: str
    replica: str = ""
    uuid: str = ""
    minor: int | None = None
    gpu_instance: int | None = None
    compute_instance: int | None = None


def parse(device: str) -> DeviceId:
    """Take apart the id of a device as the kubelet has it; any text is at least opaque."""
    base, replica = _split(device)
    match = _FORMS.fullmatch(base)
    if match is None:
        return DeviceId(base, replica)
    return DeviceId(
        base,
        replica,
        uuid=match["uuid"] or match["parent"] or "",
        minor=_number(match["minor"]),
        gpu_instance=_number(match["gi"] or match["old_gi"]),
        compute_instance=_number(match["old_ci"]),
    )


def _split(device: str) -> tuple[str, str]:
    at = max(device.rfind("::"), device.rfind("/vgpu"))
    if at > 0 and _REPLICA.fullmatch(device, at):
        return device[:at], device[at:]
    return device, ""


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None
