"""Cipher suites by the names of Go, which are IANA's, and by those of OpenSSL.

Go's list is that of `tls.CipherSuites()` (pkg.go.dev/crypto/tls), which exporter-toolkit takes.
"""

from unitcost.exporter.config.decode import shown

TLS12 = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
TLS13 = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
USUAL = "ECDHE+AESGCM:ECDHE+CHACHA20"


def openssl_ciphers(names: tuple[str, ...], low: str, high: str) -> str:
    """The suites of TLS 1.2 as OpenSSL wants them, in that order; without names, the usual ones.

    `low` and `high` are the versions allowed. Raises ValueError, in one line, for a name that is
    unknown and for a choice that OpenSSL would not keep to: Python has no way to choose among
    those of TLS 1.3.
    """
    for name in names:
        if name not in TLS12 and name not in TLS13:
            raise ValueError(f"unknown cipher suite {shown(name)}, expected one of Go's")
    named = TLS13.intersection(names)
    chosen = [TLS12[name] for name in names if name in TLS12]
    if named and (named != TLS13 or high == "TLS12"):
        raise ValueError("those of TLS 1.3 cannot be chosen: name all three, or none of them")
    if chosen and low == "TLS13":
        raise ValueError("suites of TLS 1.2 have no use with min_version: TLS13")
    if named and not chosen and low == "TLS12":
        raise ValueError("none for TLS 1.2: name one, or set min_version: TLS13")
    return ":".join(chosen) or USUAL
