"""The command line. Exit codes: 0 good, 1 failed, 2 bad usage or configuration, 130 Ctrl-C.

Heavy modules are imported by the command that needs them: `--version` and `check-config` start
no database, scheduler or web server.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from unitcost.exporter import command_line

if TYPE_CHECKING:
    from unitcost.exporter.config.load import Loaded
    from unitcost.exporter.ledger.engines import Place

GOOD, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if os.getpid() == 1:
        _end_by_sigterm()
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return FAILED


def _end_by_sigterm() -> None:
    """In a container this is process 1, for which the kernel ignores a signal without handler."""
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _run(arguments: list[str]) -> int:
    try:
        parser = _parser(arguments)
        parsed = parser.parse_args(arguments)
    except SystemExit as stop:  # argparse: 0 after --help and --version, 2 after bad usage
        return stop.code if isinstance(stop.code, int) else BAD_USAGE
    command: Command = parsed.command
    if sys.platform != "linux" and command in (_run_exporter, _once, _doctor, _demo):
        text = f"this needs Linux; docs/install.md says what there is on {sys.platform}"
        return _fail(f"unitcost {arguments[0]}: {text}", FAILED)
    return command(parsed)


def _forget_stdout() -> None:
    """Nobody reads standard output any more: let the interpreter's last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _fail(message: str, code: int) -> int:
    print(message if message.isprintable() else ascii(message)[1:-1], file=sys.stderr)
    return code


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unitcost",
        description="What AI costs per request, per token and per epoch, live, for Prometheus.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=command_line.Version, nargs=0, help="print the version and exit"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(command=command)
        return sub

    for name, command, text in (
        ("run", _run_exporter, "run the exporter"),
        ("once", _once, "gather once and print the metrics"),
        ("doctor", _doctor, "say what this host lets us read, what it does not, and the mend"),
        ("plugins", _plugins, "list the collectors, tables and price sources of others"),
    ):
        command_line.add_config(add(name, command, text))
    check = add("check-config", _check_config, "check a configuration file; start nothing")
    check.add_argument("config", metavar="FILE")
    command_line.add_ledger(add("ledger", _ledger, "look after the ledger"))
    command_line.add_prices(add("prices", _prices, "what this host costs, by whom, and why"))
    command_line.add_central(add("central", _central, "keep the ledger of a fleet, in PostgreSQL"))
    command_line.add_dashboards(
        add("dashboards", _dashboards, "dashboards, recording rules and alerts")
    )
    items = add("items", _items, "what is paid for beside compute: list, add, cancel")
    if arguments and arguments[0] == "items":
        from unitcost.exporter import item_commands

        item_commands.add_arguments(items)
    report = add("report", _report, "what was charged, by workload, owner, day, run, and so on")
    if arguments and arguments[0] == "report":
        from unitcost.exporter.report import command as report_command

        report_command.add_arguments(report)
    demo = add("demo", _demo, "a real model server and training loop on this host, priced live")
    if arguments and arguments[0] == "demo":
        from unitcost.exporter.demo import run

        run.add_arguments(demo)
    return parser


def _loaded(path: str | None) -> "Loaded | None":
    """The configuration, or None after its one line of error."""
    from unitcost.exporter.config.load import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        _fail(str(error), BAD_USAGE)
        return None


def _with_logs(path: str | None) -> "Loaded | None":
    """The configuration with logs set up by it and its warnings logged."""
    from unitcost.exporter import log

    loaded = _loaded(path)
    if loaded is not None:
        log.configure(loaded.settings.log.level, loaded.settings.log.format)
        for warning in loaded.warnings:
            logging.getLogger("unitcost.config").warning(warning)
    return loaded


def _run_exporter(arguments: argparse.Namespace) -> int:
    loaded = _with_logs(arguments.config)
    if loaded is None:
        return BAD_USAGE
    from unitcost.exporter import app

    return app.run(loaded)


def _once(arguments: argparse.Namespace) -> int:
    loaded = _with_logs(arguments.config)
    if loaded is None:
        return BAD_USAGE
    from unitcost.exporter import app

    sys.stdout.write(app.once(loaded))
    return GOOD


def _check_config(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments.config)
    if loaded is None:
        return BAD_USAGE
    for warning in loaded.warnings:
        print(f"{loaded.source}: {warning} (warning)", file=sys.stderr)
    for plugin in loaded.plugins:
        print(f"{loaded.source}: plugin {plugin.line()}")
    print(f"{loaded.source}: ok")
    return GOOD


def _plugins(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments.config)
    if loaded is None:
        return BAD_USAGE
    for plugin in loaded.plugins:
        print(plugin.line())
    if not loaded.plugins:
        print("no plugins are installed")
    return FAILED if any(plugin.failed for plugin in loaded.plugins) else GOOD


def _doctor(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments.config)
    if loaded is None:
        return BAD_USAGE
    from unitcost.exporter.doctor import doctor

    return doctor.report(loaded, sys.stdout)


def _prices(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments.config)
    if loaded is None:
        return BAD_USAGE
    from unitcost.exporter.prices import command

    return command.run(loaded, arguments, sys.stdout, sys.stderr)


def _dashboards(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from unitcost.dashboards.settings import SettingError, Settings

    pairs = [text.partition("=") for text in arguments.set]
    try:
        if bad := [name for name, equals, _ in pairs if not equals]:
            raise SettingError(f"{bad[0]}: expected NAME=VALUE")
        settings = Settings().with_values({name: value for name, _, value in pairs})
    except SettingError as error:
        return _fail(f"--set {error}", BAD_USAGE)
    try:
        from unitcost.dashboards.build import write

        for path in write(settings, Path(arguments.output)):
            print(path)
    except ModuleNotFoundError as error:
        return _fail(f"needs {error.name}: pip install 'unitcost[dashboards]'", BAD_USAGE)
    except OSError as error:
        return _fail(f"{arguments.output}: {error}", FAILED)
    return GOOD


def _ledger(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from unitcost.exporter.ledger.engines import LedgerError, Place

    place: Place = Path(arguments.path or "")
    try:
        if arguments.path is None:
            loaded = _loaded(arguments.config)
            if loaded is None:
                return BAD_USAGE
            from unitcost.exporter.ledger.places import place_of

            place = place_of(loaded.settings.ledger)
        if isinstance(place, Path) and not place.is_file():
            return _fail(f"no ledger at {place}", FAILED)
        return _act(place, arguments)
    except (OSError, LedgerError) as error:
        return _fail(f"{place}: {error}", FAILED)


def _act(place: "Place", arguments: argparse.Namespace) -> int:
    from unitcost.exporter.ledger import tools as ledger_tools

    if arguments.action == "backup":
        ledger_tools.backup(place, arguments.destination)
        print(f"{place}: copied to {arguments.destination}")
    elif arguments.action == "purge":
        count = ledger_tools.purge(place, arguments.older_than)
        print(f"{place}: {count} charges older than {arguments.older_than} days removed")
    else:
        problems = ledger_tools.check(place)
        for problem in problems:
            _fail(f"{place}: {problem}", FAILED)
        if problems:
            return FAILED
        print(f"{place}: ok")
    return GOOD


def _central(arguments: argparse.Namespace) -> int:
    from unitcost.exporter import log
    from unitcost.exporter.config.central import load_central
    from unitcost.exporter.config.load import ConfigError

    try:
        settings = load_central(arguments.config)
    except ConfigError as error:
        return _fail(str(error), BAD_USAGE)
    log.configure(settings.log.level, settings.log.format)
    from unitcost.exporter.central import app

    if not arguments.check:
        return app.run(settings)
    from unitcost.exporter.central.checking import check_central
    from unitcost.exporter.ledger.engines import LedgerError

    try:
        problems = check_central(app.place_of(settings))
    except LedgerError as error:
        problems = [str(error)]
    for problem in problems:
        _fail(problem, FAILED)
    if not problems:
        print("ok")
    return FAILED if problems else GOOD


def _items(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments.config)
    if loaded is None:
        return BAD_USAGE
    from unitcost.exporter import item_commands

    return item_commands.main(loaded, arguments)


def _report(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments.config)
    if loaded is None:
        return BAD_USAGE
    from unitcost.exporter.report import command

    return command.main(loaded, arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from unitcost.exporter.demo import run

    return run.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
