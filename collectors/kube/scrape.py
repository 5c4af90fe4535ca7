"""What a pod says of its own metrics page, and where it is. Its users write it: untrusted."""

import ipaddress
import re

from unitcost.collectors.address import is_loopback, refused
from unitcost.collectors.kube.api_types import PodObject
from unitcost.pricing.container import Scrape

PREFIX = "unitcost.io/"
MAX_PATH = 256
_PATH = re.compile(r"/[A-Za-z0-9._~%/?=&,;:+-]*", re.ASCII)
_SERVER = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_SCHEMES = ("http", "https")
_UNITS = {"sidecar": True, "": False}
_SAID = {"true": True, "false": False, "": False}


class Refused(ValueError):
    """What a pod says cannot be used; the text names the key and what is expected."""


def scrape_of(pod: PodObject) -> Scrape | None:
    """Where its page is, as its annotations or labels say; None if it does not ask to be read.

    Nobody need read one whose sidecar counts its units. Raises Refused.
    """
    if counts_itself(pod):
        return None
    wanted = _SAID.get(pod.says(f"{PREFIX}scrape"))
    if wanted is None:
        raise Refused(f"{PREFIX}scrape must be true or false")
    if not wanted:
        return None
    port = pod.says(f"{PREFIX}port")
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise Refused(f"{PREFIX}port must be a number from 1 to 65535")
    path = pod.says(f"{PREFIX}path") or "/metrics"
    if not _PATH.fullmatch(path) or len(path) > MAX_PATH:
        raise Refused(f"{PREFIX}path must be a plain path of at most {MAX_PATH} characters")
    server = pod.says(f"{PREFIX}server") or "auto"
    if not _SERVER.fullmatch(server):
        raise Refused(f"{PREFIX}server must be the name of a server")
    scheme = pod.says(f"{PREFIX}scheme") or "http"
    if scheme not in _SCHEMES:
        raise Refused(f"{PREFIX}scheme must be http or https")
    return Scrape(int(port), path, server, scheme)


def counts_itself(pod: PodObject) -> bool:
    """Whether it says that a sidecar of its own counts its units. Raises Refused."""
    said = _UNITS.get(pod.says(f"{PREFIX}units"))
    if said is None:
        raise Refused(f"{PREFIX}units must be sidecar")
    return said


def address_of(pod: PodObject) -> str:
    """The pod's own address, or that of its host if it has none of its own; empty if unknown.

    The kubelet writes it, not the pod. Of addresses that are never read there is none.
    """
    text = pod.status.pod_ip or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    nobodys = "%" in text or address.is_reserved or is_loopback(text) or refused(text)
    return "" if nobodys else str(address)
