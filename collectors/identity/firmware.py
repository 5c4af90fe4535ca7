"""Which cloud's machine the firmware says this is, so that no other is asked."""

import os
from dataclasses import dataclass

from unitcost.pricing.identity import AWS, AZURE, GCP

FOLDER = "/sys/class/dmi/id"
CLOUDS = (AWS, GCP, AZURE)
AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
"""The chassis' asset tag of Azure's machines: other Hyper-V machines do not have it."""
_CAP = 256


@dataclass(frozen=True, slots=True)
class Firmware:
    """`ask`: the clouds this may be a machine of; `sure`: it is one of theirs, or of none."""

    ask: tuple[str, ...]
    sure: bool


def firmware(folder: str = FOLDER) -> Firmware:
    """Read what the firmware says of the machine's maker; where it says nothing, ask everybody."""
    vendor, product = _said(folder, "sys_vendor"), _said(folder, "product_name")
    if not vendor:
        return Firmware(CLOUDS, sure=False)
    if vendor == "amazon ec2" or (vendor == "xen" and "amazon" in _said(folder, "bios_version")):
        return Firmware((AWS,), sure=True)
    if product == "google compute engine":
        return Firmware((GCP,), sure=True)
    if (vendor, product) == ("microsoft corporation", "virtual machine"):
        tags = {_said(folder, "chassis_asset_tag"), _said(folder, "board_asset_tag")}
        return Firmware((AZURE,), sure=AZURE_TAG in tags)
    return Firmware((), sure=True)


def _said(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read(_CAP).strip().lower()
    except OSError:
        return ""
