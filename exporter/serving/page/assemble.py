"""Puts the live page together: one HTML file with its style and its script inside.

Nothing of it comes from elsewhere and nothing in it may run but that one script: the policy names
style and script by their digests (W3C Content Security Policy Level 3).
"""

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files

SCRIPTS = (
    "format.js",
    "tree.js",
    "chart.js",
    "tables.js",
    "glance.js",
    "work.js",
    "holders.js",
    "host.js",
    "page.js",
)
"""In this order: each uses those before it."""
_STYLE, _SCRIPT = "/* style */", "/* script */"


@dataclass(frozen=True, slots=True)
class Page:
    """The file, its name for `If-None-Match`, and the headers it must come with."""

    body: bytes
    etag: str
    headers: tuple[tuple[bytes, bytes], ...]


def assemble() -> Page:
    """Read the parts and join them. The same parts give the same bytes."""
    folder = files("unitcost.exporter.serving.page")

    def read(name: str) -> str:
        return lean((folder / name).read_text(encoding="utf-8"))

    style = read("page.css")
    script = "'use strict';\n(() => {\n" + "".join(map(read, SCRIPTS)) + "})();\n"
    html = read("page.html").replace(_STYLE, style).replace(_SCRIPT, script)
    body = html.encode()
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Page(body, etag, _headers(style, script))


def lean(text: str) -> str:
    """The same without indentation, empty lines and lines that are comments."""
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))


def _headers(style: str, script: str) -> tuple[tuple[bytes, bytes], ...]:
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_digest(script)}",
            f"style-src {_digest(style)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    return (
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"DENY"),
    )


def _digest(text: str) -> str:
    """The source expression that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
