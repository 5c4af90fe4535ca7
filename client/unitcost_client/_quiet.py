"""How the client keeps its promise to be harmless: nothing raises, one warning at most."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps

TYPE_CHECKING = False  # as `typing` has it, whose import takes longer than all else here
if TYPE_CHECKING:
    from typing import ParamSpec

    P = ParamSpec("P")

LOGGER = "unitcost_client"


def complain(message: str) -> None:
    """Log a warning, the first time only in this process."""
    import logging  # not needed at all where all is well

    logger = logging.getLogger(LOGGER)
    mark = object()
    # One step under the GIL, so that of two threads only one finds its own mark.
    if vars(logger).setdefault("_unitcost_said", mark) is not mark:
        return
    with suppress(Exception):  # a handler of the user's may raise
        logger.warning("unitcost: %s; training is not affected", message)


def harmless(method: Callable[P, None]) -> Callable[P, None]:
    """Turn whatever the method raises into one warning."""

    @wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the promise of this package
            complain(f"{type(error).__name__} in {method.__name__}: {error}")

    return guarded
