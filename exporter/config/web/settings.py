"""The shape of a web configuration file, and what it comes to.

The format is exporter-toolkit's (github.com/prometheus/exporter-toolkit, web-configuration.md).
docs/web.md says what is not taken over.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import msgspec

from unitcost.exporter.config.section import Section

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class TlsServerConfig(Section, frozen=True):
    """`tls_server_config`. What is given inline is known, so that it can be refused by name."""

    cert_file: str = ""
    key_file: str = ""
    client_auth_type: str = ""
    client_ca_file: str = ""
    client_allowed_sans: tuple[str, ...] | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()
    cert: Any = None
    key: Any = None
    client_ca: Any = None


class HttpServerConfig(Section, frozen=True):
    """`http_server_config`."""

    http2: bool = False
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class RateLimitSettings(Section, frozen=True):
    """`rate_limit`: `interval` as Go writes durations, 0 for none."""

    interval: str | int = 0
    burst: int = 0


class WebFileSettings(Section, frozen=True):
    """The whole file. Users are looked at by hand, so that no message ever shows a password."""

    tls_server_config: TlsServerConfig | None = None
    http_server_config: HttpServerConfig | None = None
    basic_auth_users: Any = None
    rate_limit: RateLimitSettings | None = None


class ClientAuth(IntEnum):
    """What is asked of a client's certificate; more is stricter."""

    NONE = 0
    VERIFIED_IF_GIVEN = 1
    REQUIRED = 2


@dataclass(frozen=True, slots=True)
class ServerTls:
    """How connections are encrypted. `allowed_sans`: None for any client that is verified."""

    context: ssl.SSLContext
    client_auth: ClientAuth = ClientAuth.NONE
    allowed_sans: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: `burst` requests at once, and one more every `seconds`."""

    seconds: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A web configuration that was checked. `users`: bcrypt hashes by name, empty for no need."""

    source: str
    tls: ServerTls | None = None
    users: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rate_limit: RateLimit | None = None
    cert_file: str = ""
    key_file: str = ""

    @property
    def scheme(self) -> str:
        """As a URL of the server begins."""
        return "https" if self.tls else "http"

    @property
    def protected(self) -> bool:
        """Whether not just anybody is let in: by password, or by certificate."""
        asked = self.tls is not None and self.tls.client_auth is ClientAuth.REQUIRED
        return bool(self.users) or asked
