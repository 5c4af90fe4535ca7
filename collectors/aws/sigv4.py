"""Signature Version 4, by which AWS knows who asks. No more of it than requests to `/` need.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose request it is. `expires_ns` (Unix nanoseconds): None where they stay good."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires_ns: int | None = None


def signed(
    method: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    region: str,
    service: str,
    credentials: Credentials,
    at: datetime,
) -> dict[str, str]:
    """The headers to send with a request of `host` for `/`: those given, and the signature.

    `host` is as it stands in the Host header; `at` is the instant of the request, in UTC.
    """
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "X-Amz-Date": stamp}
    if credentials.session_token:
        sent["X-Amz-Security-Token"] = credentials.session_token
    lines = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    lines = dict(sorted({**lines, "host": host}.items()))
    names = ";".join(lines)
    told = "".join(f"{name}:{value}\n" for name, value in lines.items())
    request = "\n".join((method, "/", "", told, names, _digest(body)))
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, _digest(request.encode())))
    signature = _keyed(_key(credentials, scope), to_sign).hex()
    whose = f"Credential={credentials.access_key_id}/{scope}"
    sent["Authorization"] = f"{_ALGORITHM} {whose}, SignedHeaders={names}, Signature={signature}"
    return sent


def _key(credentials: Credentials, scope: str) -> bytes:
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = _keyed(key, part)
    return key


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
