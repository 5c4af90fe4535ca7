"""Which clouds are asked, by what the firmware says of the machine's maker."""

from pathlib import Path

import pytest

from unitcost.collectors.identity.firmware import AZURE_TAG, CLOUDS, Firmware, firmware


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Firmware(CLOUDS, sure=False)),
        ({"sys_vendor": "\n"}, Firmware(CLOUDS, sure=False)),
        ({"sys_vendor": "Amazon EC2\n"}, Firmware(("aws",), sure=True)),
        ({"sys_vendor": "Xen", "bios_version": "4.11.amazon"}, Firmware(("aws",), sure=True)),
        ({"sys_vendor": "Xen", "bios_version": "4.11"}, Firmware((), sure=True)),
        (
            {"sys_vendor": "Google", "product_name": "Google Compute Engine"},
            Firmware(("gcp",), sure=True),
        ),
        ({"sys_vendor": "Google", "product_name": "Eve"}, Firmware((), sure=True)),
        (
            {
                "sys_vendor": "Microsoft Corporation",
                "product_name": "Virtual Machine",
                "chassis_asset_tag": AZURE_TAG,
            },
            Firmware(("azure",), sure=True),
        ),
        (
            {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"},
            Firmware(("azure",), sure=False),
        ),
        (
            {"sys_vendor": "Microsoft Corporation", "product_name": "Surface Laptop"},
            Firmware((), sure=True),
        ),
        ({"sys_vendor": "LENOVO", "product_name": "20XW"}, Firmware((), sure=True)),
        ({"sys_vendor": "QEMU"}, Firmware((), sure=True)),
        ({"sys_vendor": "\udcff" + "x" * 10_000}, Firmware((), sure=True)),
    ],
)
def test_who_is_asked(files: dict[str, str], expected: Firmware, tmp_path: Path) -> None:
    """A laptop asks nobody; where the firmware says nothing, everybody is asked."""
    for name, text in files.items():
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert firmware(str(tmp_path)) == expected


def test_firmware_that_cannot_be_read(tmp_path: Path) -> None:
    """As if it said nothing."""
    (tmp_path / "sys_vendor").mkdir()
    assert firmware(str(tmp_path)) == Firmware(CLOUDS, sure=False)
    assert firmware(str(tmp_path / "none")) == Firmware(CLOUDS, sure=False)
