"""Which device a claim names: what the resource slices of DRA drivers say of it."""

from collections.abc import Iterable, Mapping

from unitcost.collectors.kube.api_types import Attribute, ResourceSlice, SliceDevice

MAX_UUID_LENGTH = 100


def uuids(slices: Iterable[ResourceSlice]) -> dict[str, str]:
    """The UUID of each device that has one, by ``driver/pool/device``.

    While a driver changes a pool, old slices of it are still there: the highest generation counts.
    """
    specs = [each.spec for each in slices]
    newest: dict[tuple[str, str], int] = {}
    for spec in specs:
        pool = spec.driver, spec.pool.name
        newest[pool] = max(spec.pool.generation, newest.get(pool, 0))
    return {
        f"{spec.driver}/{spec.pool.name}/{device.name}": uuid
        for spec in specs
        if spec.pool.generation == newest[spec.driver, spec.pool.name]
        for device in spec.devices or ()
        if (uuid := _uuid(spec.driver, device))
    }


def _uuid(driver: str, device: SliceDevice) -> str:
    attributes = _attributes(device)
    # A name without a domain is in the driver's own.
    found = attributes.get("uuid") or attributes.get(f"{driver}/uuid")
    uuid = (found.string if found else None) or ""
    plain = uuid.isascii() and uuid.isprintable() and len(uuid) <= MAX_UUID_LENGTH
    return uuid if plain else ""


def _attributes(device: SliceDevice) -> Mapping[str, Attribute]:
    """Version v1beta1 has them one level deeper."""
    return device.attributes or (device.basic.attributes if device.basic else None) or {}
