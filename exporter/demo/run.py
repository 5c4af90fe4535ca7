"""`unitcost demo`: start a model server, a training loop and the exporter; show what they cost."""

import argparse
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal, InvalidOperation
from types import FrameType

from unitcost.exporter.config.settings import PORT
from unitcost.exporter.demo.children import ChildFailed, Ended

DEFAULT_USD_PER_HOUR = Decimal("1.00")
EXTRAS = ("numpy", "rich", "unitcost_client")


def usd(text: str) -> Decimal:
    """Read a price on the command line. Raises ArgumentTypeError unless it is one."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars") from None
    if not value.is_finite() or not 0 < value <= 1_000_000:
        raise argparse.ArgumentTypeError("a price above 0 and up to 1,000,000 is needed")
    return value


def seconds(text: str) -> float:
    """Read a duration on the command line. Raises ArgumentTypeError unless it is one."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds") from None
    if not 0 < value <= 7 * 86400:
        raise argparse.ArgumentTypeError("seconds above 0 and up to a week are needed")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the demo's options to `parser`."""
    parser.add_argument("--seconds", type=seconds, help="end by itself after so long")
    parser.add_argument(
        "--port", type=int, help=f"port of /metrics (default {PORT}, else a free one)"
    )
    parser.add_argument(
        "--usd-per-hour",
        type=usd,
        default=DEFAULT_USD_PER_HOUR,
        help="what this host is assumed to cost an hour (default %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print only the last reading, as JSON")


def main(args: argparse.Namespace) -> int:
    """Run the demo.

    Returns 0 at the end of ``--seconds``, 128 + the signal's number where one ended it (130 for
    Ctrl-C), 1 if a part failed, 2 if something it needs is not installed.
    """
    missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"unitcost demo needs {', '.join(missing)}; this installs it: "
            "pip install 'unitcost[demo]'",
            file=sys.stderr,
        )
        return 2
    if not os.path.exists("/proc/stat"):
        print(
            "unitcost demo: there is no /proc here, which it reads; mount procfs", file=sys.stderr
        )
        return 1
    from unitcost.exporter.demo.stage import CannotStart, Stage

    with caught_signals() as ended:
        try:
            with ExitStack() as stack:
                Stage(args, ended, stack).run()
        except (CannotStart, ChildFailed) as error:
            print(f"unitcost demo: {error}", file=sys.stderr)
            return 1
        if not args.json:
            print("Stopped: the model server, the training loop and the exporter.")
        return 128 + ended.number if ended.number else 0


@contextmanager
def caught_signals() -> Iterator[Ended]:
    """Turn SIGINT, SIGTERM and SIGHUP into an event, so that nothing is cut short by them."""
    ended = Ended()

    def note(number: int, _: FrameType | None) -> None:
        ended.number = ended.number or number
        ended.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, note) for number in numbers]
    try:
        yield ended
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
