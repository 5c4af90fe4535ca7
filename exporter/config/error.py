"""A configuration that cannot be used, in one line."""

import re

from unitcost.exporter.config.decode import shown
from unitcost.exporter.config.yaml_strict import Path

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


class ConfigError(Exception):
    """A configuration that cannot be used. Its text is one line: ``FILE:LINE: KEY: problem``."""

    def __init__(self, source: str, line: int | None, key: str, problem: str) -> None:
        place = f"{source}:{line}" if line else source
        text = f"{place}: {key}: {problem}"
        super().__init__(text if text.isprintable() else ascii(text)[1:-1])
        self.source = source
        self.line = line
        self.key = key
        self.problem = problem


def path_text(path: Path) -> str:
    """A path as a person writes it: ``workloads[1].endpoints[0].url``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{shown(step)}]"
    return text
