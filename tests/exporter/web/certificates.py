"""Certificates for tests, made by the openssl program: an authority, a server, its clients."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import bcrypt

SERVER_NAMES = "DNS:localhost,IP:127.0.0.1"
CLIENT_NAMES = "DNS:prometheus.example,IP:::1,email:who@example.com,URI:spiffe://example/p"
SPOILT = ("half.pem", "junk.key", "locked.key")


def hashed(password: str, cost: int = 4) -> str:
    """A bcrypt hash of a password, cheap unless it should not be; the same each time.

    Tests are named after it, and all processes that run them have to agree on their names.
    """
    salt = hashlib.sha256(password.encode()).hexdigest()[:21] + "e"  # 22 of its 64 characters
    return bcrypt.hashpw(password.encode(), f"$2b${cost:02d}${salt}".encode()).decode()


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority with a folder of its own, which makes certificates there."""

    folder: Path

    @property
    def cert(self) -> Path:
        """Its own certificate."""
        return self.folder / "ca.pem"

    def pair(self, name: str, san: str = "", usage: str = "clientAuth", key: str = "ec") -> Pair:
        """A certificate of this authority for `name`; the same name makes it anew."""
        made = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        text = f"authorityKeyIdentifier=keyid\nextendedKeyUsage={usage}\n" + (
            f"subjectAltName={san}\n" if san else ""
        )
        extensions.write_text(text)
        kind = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1") if key == "ec" else ("rsa:2048",)
        wanted = ("-newkey", *kind, "-nodes", "-subj", f"/CN={name}", "-keyout", made.key)
        _openssl("req", "-new", *wanted, "-out", request)
        signed = ("-CA", self.cert, "-CAkey", self.folder / "ca.key", "-CAcreateserial")
        wanted = ("-days", "30", "-extfile", extensions, "-out", made.cert)
        _openssl("x509", "-req", "-in", request, *signed, *wanted)
        return made


def authority(folder: Path) -> Authority:
    """A new authority in a new folder."""
    folder.mkdir(parents=True)
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    may = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    made = (*may, "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    _openssl("req", "-x509", *kind, "-subj", "/CN=authority", "-days", "30", *made)
    return Authority(folder)


@dataclass(frozen=True, slots=True)
class World:
    """All that tests share: two authorities, a server, a client of each."""

    good: Authority
    other: Authority
    server: Pair
    rsa_server: Pair
    client: Pair
    nameless: Pair
    stranger: Pair


def world(folder: Path) -> World:
    """Everything, made once."""
    good, other = authority(folder / "good"), authority(folder / "other")
    found = World(
        good,
        other,
        good.pair("server", SERVER_NAMES, "serverAuth"),
        good.pair("rsa", SERVER_NAMES, "serverAuth", key="rsa"),
        good.pair("client", CLIENT_NAMES),
        good.pair("nameless"),
        other.pair("stranger", CLIENT_NAMES),
    )
    spoil(found)
    return found


def spoil(found: World) -> None:
    """Put beside the good ones what is no certificate and no key that can be used."""
    folder = found.good.folder
    lines = found.server.cert.read_text().splitlines(keepends=True)
    (folder / "half.pem").write_text("".join([*lines[:3], lines[-1]]))
    kind = "PRIVATE KEY-----"
    (folder / "junk.key").write_text(f"-----BEGIN {kind}\nCANARY\n-----END {kind}\n")
    locked = ("-aes128", "-passout", "pass:x", "-out", folder / "locked.key")
    _openssl("ec", "-in", found.server.key, *locked)
