"""The cluster's API server, asked as the service account of our own pod."""

import os
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from unitcost.collectors.fetch import MAX_TOKEN_LENGTH, FetchError, fetch
from unitcost.collectors.kube.api_types import Item, Page, PodObject, ResourceSlice

MAX_BODY = 32 * 1024 * 1024
MAX_OBJECTS = 5_000
"""More pods or slices of one node than this are none."""

One = TypeVar("One")

_NODE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_CONTINUE = re.compile(r"[A-Za-z0-9_=-]{1,1500}")
_SLICE_VERSIONS = ("v1", "v1beta2", "v1beta1")
_NOT_FOUND = 404


class ApiError(Exception):
    """The API server did not give what was asked for; the text says why."""


class ApiServer:
    """Lists what belongs to one node, `timeout` seconds for each page. For one thread.

    The token and the authority are read from the `service_account` folder for each question:
    they are replaced from time to time.
    """

    def __init__(self, url: str, service_account: str, node: str, timeout: float) -> None:
        self._url = url
        self._folder = service_account
        self._node = node
        self._timeout = timeout
        self._pods = msgspec.json.Decoder(Page[PodObject]).decode
        self._slices = msgspec.json.Decoder(Page[ResourceSlice]).decode

    def pods(self) -> tuple[PodObject, ...]:
        """All pods of the node. Raises ApiError."""
        return self._all("/api/v1/pods", self._pods)

    def slices(self) -> tuple[ResourceSlice, ...]:
        """The resource slices of the node; none where the cluster has no DRA. Raises ApiError."""
        for version in _SLICE_VERSIONS:
            try:
                return self._all(f"/apis/resource.k8s.io/{version}/resourceslices", self._slices)
            except NotThere:
                continue
        return ()

    def object(self, path: str, decode: Callable[[bytes], One]) -> One:
        """One object by its path. Raises NotThere where there is none, else ApiError."""
        return _decoded(self._get(path), decode)

    def _all(self, path: str, decode: Callable[[bytes], Page[Item]]) -> tuple[Item, ...]:
        found: list[Item] = []
        # Version 0: from the server's memory, which costs it little.
        more = "&resourceVersion=0"
        while more:
            query = f"fieldSelector=spec.nodeName%3D{self._node}&limit=500{more}"
            page = _decoded(self._get(f"{path}?{query}"), decode)
            found += page.items or ()
            if len(found) > MAX_OBJECTS:
                raise ApiError(f"{path}: more than {MAX_OBJECTS} for one node")
            more = _continued(page.metadata.continue_)
        return tuple(found)

    def _get(self, target: str) -> bytes:
        try:
            return fetch(
                self._url + target,
                timeout=self._timeout,
                cap=MAX_BODY,
                bearer_token=self._token(),
                ca_file=os.path.join(self._folder, "ca.crt"),
            )
        except FetchError as error:
            kind = NotThere if error.status == _NOT_FOUND else ApiError
            raise kind(f"{target.partition('?')[0]}: {error}") from None

    def _token(self) -> str:
        path = os.path.join(self._folder, "token")
        try:
            with open(path, encoding="ascii") as file:
                return file.read(MAX_TOKEN_LENGTH + 1).strip()
        except (OSError, ValueError) as error:
            raise ApiError(f"{path} cannot be read: {type(error).__name__}") from None


class NotThere(ApiError):
    """Nothing by that name."""


def api_server(
    environ: Mapping[str, str], service_account: str, node: str, timeout: float
) -> ApiServer | None:
    """The API server of the cluster we run in; None outside of one.

    Raises ApiError where we are in one but do not know on which node.
    """
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    if not host or not os.path.exists(os.path.join(service_account, "token")):
        return None
    node = node or environ.get("NODE_NAME", "")
    if not _NODE.fullmatch(node):
        raise ApiError("the name of this node is not known: set NODE_NAME (spec.nodeName)")
    port = environ.get("KUBERNETES_SERVICE_PORT", "") or "443"
    place = f"[{host}]" if ":" in host else host
    return ApiServer(f"https://{place}:{port}", service_account, node, timeout)


def _decoded(body: bytes, decode: Callable[[bytes], One]) -> One:
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(f"not what Kubernetes says: {error}"[:200]) from None


def _continued(token: str | None) -> str:
    """What asks for the page after, empty if that was the last."""
    if not token:
        return ""
    if not _CONTINUE.fullmatch(token):
        raise ApiError("the API server goes on with an odd token")
    return "&continue=" + token.replace("=", "%3D")
