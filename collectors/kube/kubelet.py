"""The kubelet's PodResources API, on its socket on this host: answers as they come.

The packages that speak its protocol are an extra, so they are imported where they are used.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

MAX_ANSWER = 16 * 1024 * 1024
_MAX_DETAIL = 160
_SERVICE = "/v1.PodResourcesLister"


class KubeletError(Exception):
    """The kubelet could not be asked; the text says why and what to do."""


class ExtraMissing(KubeletError):
    """A package that speaks the kubelet's protocol is not installed."""


class KubeletClient:
    """Asks the kubelet. For one thread.

    Where the kubelet was not there or has made its socket anew, the next question goes over a new
    connection: an old one would wait longer and longer before it tries again.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._socket: tuple[int, int] | None = None
        self._channel: grpc.Channel | None = None
        self._no_allocatable = False

    def list_pods(self, timeout: float) -> tuple[bytes, bool]:
        """What was given to whom, and whether by another kubelet. Raises KubeletError."""
        new = self._connect()
        return self._ask("List", timeout), new

    def allocatable(self, timeout: float) -> bytes | None:
        """What could be given out; None where this kubelet cannot tell. Raises KubeletError."""
        if self._no_allocatable:
            return None
        try:
            return self._ask("GetAllocatableResources", timeout)
        except _Unimplemented:
            self._no_allocatable = True
            return None

    def rest(self) -> None:
        """Close the connection until the next question: one that is open costs time of its own."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def close(self) -> None:
        """Close the connection, and know nothing of who was at its other end."""
        self.rest()
        self._socket = None

    def _connect(self) -> bool:
        """Have a connection to the socket as it is now; whether another kubelet made it."""
        socket = _identity(self._path)
        new = socket != self._socket
        if new:
            self.close()
            self._no_allocatable = False
        if self._channel is None:
            self._channel = _open(self._path)
        self._socket = socket
        return new

    def _ask(self, method: str, timeout: float) -> bytes:
        import grpc

        if self._channel is None:
            raise KubeletError("not connected")
        try:
            # Without serializers, bytes go out and come back as they are; all requests are empty.
            call = self._channel.unary_unary(f"{_SERVICE}/{method}", None, None)
            answer: bytes = call(b"", timeout=timeout)
            return answer
        except grpc.RpcError as error:
            if _code(error) not in (
                grpc.StatusCode.UNIMPLEMENTED,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            ):
                self.close()
            raise _fault(error, self._path, timeout) from None


class _Unimplemented(KubeletError):
    """This kubelet does not know the method."""


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except PermissionError:
        raise _denied(path) from None
    except OSError as error:
        raise KubeletError(f"the kubelet is down: {path}: {error.strerror}") from None
    if not os.access(path, os.R_OK | os.W_OK):
        raise _denied(path)
    return status.st_ino, status.st_ctime_ns


def _open(path: str) -> "grpc.Channel":
    try:
        import google.protobuf.message  # noqa: F401 - what reads the answers
        import grpc
    except ImportError:
        raise ExtraMissing(
            "there is a kubelet, but the packages to ask it are missing: "
            "pip install 'unitcost[kubernetes]'"
        ) from None
    options = [
        ("grpc.max_receive_message_length", MAX_ANSWER),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.insecure_channel(f"unix:{path}", options=options)


def _denied(path: str) -> KubeletError:
    return KubeletError(f"permission denied: {path}: only root may ask the kubelet (runAsUser: 0)")


def _code(error: "grpc.RpcError") -> "grpc.StatusCode | None":
    import grpc

    return error.code() if isinstance(error, grpc.Call) else None


def _fault(error: "grpc.RpcError", path: str, timeout: float) -> KubeletError:
    import grpc

    code = _code(error)
    details = (error.details() or "")[:1000] if isinstance(error, grpc.Call) else str(error)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return _Unimplemented("this kubelet has no PodResources API of version 1")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return KubeletError(f"the kubelet did not answer within {timeout:g} s")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return KubeletError(f"the kubelet's answer was refused: {details[:_MAX_DETAIL]}")
    if "Permission denied" in details:
        return _denied(path)
    name = code.name if code else "no status"
    return KubeletError(f"the kubelet is down: {name}: {details[-_MAX_DETAIL:]}")
