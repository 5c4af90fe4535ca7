"""Makes the collectors that are to be run, or goes on with those that may stay."""

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unitcost.collectors.base import Collector, Context, Found


@dataclass(frozen=True, slots=True)
class Source:
    """One collector to be run; or, where there is none, why (`error`)."""

    name: str
    collector: Collector | None
    error: str = ""


def make_sources(
    found: Iterable[Found],
    options: Mapping[str, Any],
    context: Context,
    running: Mapping[str, Collector] | None = None,
) -> tuple[Source, ...]:
    """Make the collectors of the modules found; one that cannot be made breaks nothing else.

    `options` has the `Options` of each module by its name; all defaults where it has none.
    `running`: collectors by name that were in use until now; those that say so stay.
    """
    before = running or {}
    return tuple(
        _make(each, options.get(each.name), context, before.get(each.name)) for each in found
    )


def _make(found: Found, options: Any, context: Context, running: Collector | None) -> Source:
    if found.module is None:
        return Source(found.name, None, found.error or "cannot be imported")
    try:
        if options is None:
            options = found.module.Options()
        if running is not None and getattr(running, "stays", _never)(options, context) is True:
            return Source(found.name, running)
        return Source(found.name, found.module.make_collector(options, context))
    except BaseException as error:  # noqa: BLE001 - a plug-in may raise anything
        return Source(found.name, None, f"cannot be made: {described(error)}")


def _never(options: Any, context: Context) -> bool:
    return False


def described(error: BaseException) -> str:
    """The error, and the line it came from; an error may fail even at saying what it is."""
    try:
        text = f"{type(error).__name__}: {error}"[:200]
    except Exception:  # noqa: BLE001 - its own __str__ raised
        text = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return text + where
