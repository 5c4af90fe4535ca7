"""Collectors that go wrong, each in its own way, beside one that works."""

import time
from types import ModuleType
from typing import Any

import msgspec

import unitcost.collectors.host
from unitcost.collectors.base import Context, Found, Reading
from unitcost.pricing.sample import Quantity, Sample


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


def _module(name: str, collect: Any) -> ModuleType:
    """A module as `discover` would find it."""
    collector = type(name, (), {"name": name, "collect": collect})
    module = ModuleType(name)
    module.Options = _Options  # type: ignore[attr-defined]  # a module made by hand
    module.make_collector = lambda options, context: collector()  # type: ignore[attr-defined]
    return module


def _raises(_self: Any, deadline: float) -> Reading:
    raise RuntimeError("it broke")


def _exits(_self: Any, deadline: float) -> Reading:
    raise SystemExit(3)


def _hangs(_self: Any, deadline: float) -> Reading:
    time.sleep(3600)
    return Reading()


def _junk(_self: Any, deadline: float) -> Reading:
    return Reading(samples=(Sample("host", Quantity.CPU_SECONDS, float("nan"), 1),))


def found() -> tuple[Found, ...]:
    """One good collector and five bad ones."""
    return (
        Found("host", unitcost.collectors.host, None),
        Found("unimportable", None, "SyntaxError: invalid syntax"),
        Found("raises", _module("raises", _raises), None),
        Found("exits", _module("exits", _exits), None),
        Found("hangs", _module("hangs", _hangs), None),
        Found("junk", _module("junk", _junk), None),
    )


BAD = ("unimportable", "raises", "exits", "hangs", "junk")
NO_CONTEXT = Context()
