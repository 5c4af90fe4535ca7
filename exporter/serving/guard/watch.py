"""The web configuration as its files are now: looked at for each request and connection."""

import logging

from unitcost.exporter.config.error import ConfigError
from unitcost.exporter.config.web.files import Files
from unitcost.exporter.config.web.load import load_web
from unitcost.exporter.config.web.settings import ServerTls, WebConfig
from unitcost.exporter.log import fields

_log = logging.getLogger(__name__)


class WebFile:
    """A web configuration file that may change while it is in use.

    `current` is for one thread, and costs a stat for each file; nothing else is read until one
    has changed. What is broken, and what would take protection away (a file that is just being
    written may look so), is not used: it is logged once and counted, and the old goes on.
    """

    def __init__(self, path: str) -> None:
        """Read the file at `path`. Raises ConfigError."""
        self._files = Files()
        self._current = load_web(path, self._files)
        self.up = True
        """Whether the files as they are now are in use."""
        self.failures = 0
        """How often they changed to what could not be used."""

    def current(self) -> WebConfig:
        """What holds now. Never raises."""
        if self._files.changed():
            self._files, source = Files(), self._current.source
            try:
                new = load_web(source, self._files)
                _refuse_less(self._current, new)
            except ConfigError as error:
                self.up, self.failures = False, self.failures + 1
                _log.error("web configuration unchanged: %s", error)
            else:
                self.up, self._current = True, new
                _log.info("web configuration reloaded", extra=fields(file=source))
        return self._current


def _refuse_less(old: WebConfig, new: WebConfig) -> None:
    """Raise ConfigError where less is asked of clients than before, which needs a restart."""
    key = ""
    if old.users and not new.users:
        key = "basic_auth_users"
    elif old.tls is not None:
        key = _less_tls(old.tls, new.tls)
    if key:
        problem = "asks less of clients than before, which only a restart takes over"
        raise ConfigError(new.source, None, key, problem)


def _less_tls(old: ServerTls, new: ServerTls | None) -> str:
    section = "tls_server_config"
    if new is None:
        return section
    if new.client_auth < old.client_auth:
        return f"{section}.client_auth_type"
    if old.allowed_sans is not None and new.allowed_sans is None:
        return f"{section}.client_allowed_sans"
    return ""
