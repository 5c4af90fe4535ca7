"""The arguments of the commands that have no file of their own."""

import argparse


class Version(argparse.Action):
    """Prints the version when asked: looking it up costs more than all other arguments."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import importlib.metadata

        print(f"unitcost {importlib.metadata.version('unitcost')}")
        parser.exit()


def add_config(parser: argparse.ArgumentParser) -> None:
    """Which configuration to use."""
    parser.add_argument(
        "--config", metavar="FILE", help="configuration file; without one, all defaults hold"
    )


def add_ledger(parser: argparse.ArgumentParser) -> None:
    """Of `unitcost ledger`."""
    place = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = place.add_mutually_exclusive_group()
    group.add_argument("--config", metavar="FILE", help="the ledger that this configuration uses")
    group.add_argument("--path", metavar="FILE", help="the ledger's file")
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    backup = actions.add_parser("backup", parents=[place], help="copy it, also while in use")
    backup.add_argument("destination", metavar="DEST", help="a file that does not exist yet")
    actions.add_parser("check", parents=[place], help="look for damage")
    purge = actions.add_parser("purge", parents=[place], help="remove old charges; totals stay")
    purge.add_argument("--older-than", type=_days, required=True, metavar="DAYS", help="at least 1")


def add_prices(parser: argparse.ArgumentParser) -> None:
    """Of `unitcost prices`."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    added = {}
    for name, text in (
        ("explain", "say which price is used, why, and what was rejected"),
        ("refresh", "ask all price sources now, and say what changed; change nothing"),
        ("list", "list this host's prices as far as they are known without asking anybody"),
    ):
        added[name] = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        add_config(added[name])
        if name != "explain":
            added[name].add_argument("--json", action="store_true", help="for a machine")
    for name in ("provider", "region", "type"):
        text = f"this {name} (* and ? as in a shell), of the built-in rate card as well"
        added["list"].add_argument(f"--{name}", metavar="PATTERN", default="", help=text)


def add_central(parser: argparse.ArgumentParser) -> None:
    """Of `unitcost central`."""
    parser.add_argument("--config", metavar="FILE", required=True, help="its configuration file")
    parser.add_argument("--check", action="store_true", help="check the ledger, and start nothing")


def add_dashboards(parser: argparse.ArgumentParser) -> None:
    """Of `unitcost dashboards`."""
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    text = "write dashboards, rules and alerts for Grafana and Prometheus"
    build = actions.add_parser("build", help=text, description=text, allow_abbrev=False)
    build.add_argument("-o", "--output", required=True, metavar="DIR", help="where to write them")
    build.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting; docs/alerts.md lists them",
    )


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 36500 and len(text) < 6):
        raise argparse.ArgumentTypeError(f"expected a number of days from 1 to 36500, got {text!r}")
    return int(text)
