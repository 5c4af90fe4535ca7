"""The parts of a web configuration beside TLS: users, headers, rate limit."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.web.settings import HttpServerConfig, RateLimit, RateLimitSettings

MAX_USERS = 100
MAX_COST = 15
"""A hash of cost 15 takes some 2 s; each step more doubles it."""
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""Those that exporter-toolkit lets be set, with the values allowed where there are few."""

_BCRYPT = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
"""Version, cost, 128 bits of salt (its last digit has two of them), and the digest."""
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)([a-zµ]+)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def users_of(value: Any) -> dict[bytes, bytes]:
    """Hashes by user. Raises Mistake, which never shows what stands where a hash should."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_user("expected a mapping of user names to bcrypt hashes")
    if len(value) > MAX_USERS:
        raise _wrong_user(f"at most {MAX_USERS}, got {len(value)}")
    return dict(_users(value))


def _wrong_user(problem: str, *path: str) -> Mistake:
    return Mistake(("basic_auth_users", *path), problem)


def _users(value: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for name, hashed in value.items():
        if not name or not name.isprintable():
            raise _wrong_user("a user's name must not be empty, or have control characters")
        if ":" in name:  # what follows the colon may well be the password
            raise _wrong_user("a user's name must have no colon (is a space missing after it?)")
        data = hashed.encode() if isinstance(hashed, str) else b""
        found = _BCRYPT.fullmatch(data)
        if found is None:
            how = "such as `htpasswd -nBC 10 USER` makes"
            raise _wrong_user(f"expected a bcrypt hash ($2y$…, 60 characters) {how}", name)
        cost = int(found[1])
        if not 4 <= cost <= MAX_COST:
            raise _wrong_user(f"its cost must be between 4 and {MAX_COST}, is {cost}", name)
        yield name.encode(), data


def headers_of(config: HttpServerConfig | None) -> tuple[tuple[bytes, bytes], ...]:
    """Headers to add to each answer; one with an empty value is none. Raises Mistake."""
    if config is None:
        return ()
    if config.http2:
        problem = "HTTP/2 is not served: leave it out, or say false"
        raise Mistake(("http_server_config", "http2"), problem)
    for name, value in config.headers.items():
        path = ("http_server_config", "headers", name)
        if name not in HEADERS:
            raise Mistake(path, f"cannot be set, expected one of {', '.join(HEADERS)}")
        if value and HEADERS[name] and value not in HEADERS[name]:
            raise Mistake(path, f"expected {' or '.join(HEADERS[name])}, got {shown(value)}")
        if not (value.isascii() and (value.isprintable())) or value != value.strip():
            raise Mistake(path, "expected one line of ASCII without spaces at either end")
    pairs = ((name.lower(), value) for name, value in config.headers.items() if value)
    return tuple((name.encode(), value.encode()) for name, value in pairs)


def rate_limit_of(config: RateLimitSettings | None) -> RateLimit | None:
    """The limit; None where the interval is 0. Raises Mistake."""
    if config is None:
        return None
    seconds = _seconds(config.interval)
    if seconds == 0:
        return None
    if not 1 <= config.burst <= 1_000_000:
        problem = f"must be between 1 and 1000000, got {shown(config.burst)}"
        if config.burst == 0:
            problem += ", which would refuse every request"
        raise Mistake(("rate_limit", "burst"), problem)
    return RateLimit(seconds, config.burst)


def _seconds(interval: str | int) -> float:
    text = "0s" if interval in (0, "0") else interval
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        problem = f"expected a duration such as 100ms or 1m30s, got {shown(interval)}"
        raise Mistake(("rate_limit", "interval"), problem)
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
