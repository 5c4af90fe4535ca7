"""The way in: a web configuration file, read and checked, certificates included."""

import re
from pathlib import Path

from unitcost.exporter.config import yaml_strict
from unitcost.exporter.config.decode import Mistake, decode
from unitcost.exporter.config.error import ConfigError, path_text
from unitcost.exporter.config.web.files import Files
from unitcost.exporter.config.web.parts import headers_of, rate_limit_of, users_of
from unitcost.exporter.config.web.settings import WebConfig, WebFileSettings
from unitcost.exporter.config.web.tls import server_tls

__all__ = ["WebConfig", "load_web"]

_QUOTED = re.compile(r"['\"`]|^tag ")


def load_web(path: str, files: Files | None = None) -> WebConfig:
    """Read and check a web configuration, and the certificates and keys that it names.

    `path` is absolute; paths in the file are relative to its folder. `files` remembers what was
    read. Raises ConfigError with one line that has no password, hash or key in it.
    """
    files = files or Files()
    try:
        document = yaml_strict.parse(files.read(path, ("file",)))
    except Mistake as mistake:
        raise ConfigError(path, None, "file", mistake.problem) from None
    except yaml_strict.YamlError as error:
        key = path_text(error.path[:1]) or "YAML"
        raise ConfigError(path, error.line, key, _without_values(error.problem)) from None
    try:
        value = {} if document.value is None else document.value
        return _checked(value, path, files)
    except Mistake as mistake:
        key = path_text(mistake.path) or "document"
        raise ConfigError(path, document.line(mistake.path), key, mistake.problem) from None


def _without_values(problem: str) -> str:
    """What is wrong with YAML, unless it quotes the text, which may be a password."""
    if not _QUOTED.search(problem):
        return problem
    return "not YAML (a value that begins with *, &, !, @ or % needs quotes)"


def _checked(value: object, path: str, files: Files) -> WebConfig:
    if not isinstance(value, dict):  # without showing it
        raise Mistake((), "expected a mapping of keys")
    for key in value:
        if key not in WebFileSettings.__struct_fields__:
            expected = ", ".join(WebFileSettings.__struct_fields__)
            place = () if ":" in key else (key,)  # what follows a colon may be a password
            raise Mistake(place, f"unknown key, expected one of {expected}")
    config = decode(value, WebFileSettings)
    users = users_of(config.basic_auth_users)
    headers = headers_of(config.http_server_config)
    limit = rate_limit_of(config.rate_limit)
    section, folder = config.tls_server_config, Path(path).parent
    tls = None if section is None else server_tls(section, folder, files)
    if section is None or tls is None:
        return WebConfig(path, None, users, headers, limit)
    cert_file, key_file = str(folder / section.cert_file), str(folder / section.key_file)
    return WebConfig(path, tls, users, headers, limit, cert_file, key_file)
