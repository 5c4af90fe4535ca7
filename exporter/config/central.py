"""The configuration of `unitcost central`, which keeps the fleet's ledger."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from unitcost.exporter.config import yaml_strict
from unitcost.exporter.config.decode import Mistake, decode
from unitcost.exporter.config.host import folder_problem, secret_problem
from unitcost.exporter.config.load import ConfigError, path_text
from unitcost.exporter.config.section import Section, between
from unitcost.exporter.config.settings import Log, Port
from unitcost.exporter.config.web.load import load_web

CENTRAL_PORT = 9842


class CentralWeb(Section, frozen=True):
    """Where the fleet's ledger listens."""

    address: str = "0.0.0.0"  # noqa: S104 - agents come from other hosts
    port: Port = CENTRAL_PORT
    config_file: str = ""
    """TLS and limits, as an exporter has them; without users: agents come with tokens."""


class CentralSettings(Section, frozen=True):
    """The whole file of `unitcost central`. Paths are relative to its folder."""

    tokens_file: str
    """A line for each agent: the host's name, or `*` for any host, and its bearer token."""
    database_url_file: str = ""
    """A file with the URL of a PostgreSQL database, which is a secret."""
    path: str = ""
    """Instead, for a few hosts: a SQLite file."""
    retention_days: Annotated[int, between("1", "36500")] = 400
    web: CentralWeb = CentralWeb()
    log: Log = Log()


def load_central(path: str) -> CentralSettings:
    """Read and check the file of `unitcost central`; its paths become absolute.

    Raises ConfigError with one line on the first mistake.
    """
    try:
        with open(path, "rb") as file:
            document = yaml_strict.parse(file.read(yaml_strict.MAX_BYTES + 1))
    except OSError as error:
        raise ConfigError(path, None, "file", f"cannot be read: {error.strerror}") from None
    except yaml_strict.YamlError as error:
        key = path_text(error.path) or "YAML"
        raise ConfigError(path, error.line, key, error.problem) from None
    try:
        value = {} if document.value is None else document.value
        settings = _absolute(decode(value, CentralSettings), Path(os.path.abspath(path)).parent)
        for mistake in _mistakes(settings):
            raise mistake
        return settings
    except Mistake as mistake:
        key = path_text(mistake.path) or "document"
        raise ConfigError(path, document.line(mistake.path), key, mistake.problem) from None


def _absolute(settings: CentralSettings, folder: Path) -> CentralSettings:
    names = ("tokens_file", "database_url_file", "path")
    given = {name: getattr(settings, name) for name in names}
    made = {name: os.path.abspath(folder / text) if text else "" for name, text in given.items()}
    config = settings.web.config_file
    web = msgspec.structs.replace(
        settings.web, config_file=os.path.abspath(folder / config) if config else ""
    )
    return msgspec.structs.replace(settings, web=web, **made)


def _mistakes(settings: CentralSettings) -> Iterator[Mistake]:
    if bool(settings.path) == bool(settings.database_url_file):
        problem = "expected either this or path, and not both"
        yield Mistake(("database_url_file",), problem)
    for name in ("tokens_file", "database_url_file"):
        if problem := secret_problem(getattr(settings, name)) or "":
            yield Mistake((name,), problem)
    config = settings.web.config_file
    if problem := secret_problem(config) or "":
        yield Mistake(("web", "config_file"), problem)
    elif config and load_web(config).users:
        problem = "basic_auth_users: agents come with tokens, which would not be let through"
        yield Mistake(("web", "config_file"), problem)
    if not settings.tokens_file:
        yield Mistake(("tokens_file",), "must not be empty")
    if settings.path and (problem := folder_problem(Path(settings.path).parent) or ""):
        yield Mistake(("path",), problem)
