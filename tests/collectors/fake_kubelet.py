"""A kubelet for tests: a real gRPC server on a unix socket, with devices it gives to pods."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc

from unitcost.collectors.kube import podresources_pb2 as pb

Given = dict[tuple[str, str, str], dict[str, list[str]]]
"""By namespace, pod and container: the device ids by resource."""
Claimed = dict[tuple[str, str, str], list[tuple[str, str, str]]]
"""By namespace, pod and container: driver, pool and device."""


class FakeKubelet:
    """Answers as the kubelet does, in an order that changes each time, as there."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.given: Given = {}
        self.claimed: Claimed = {}
        self.allocatable: dict[str, list[str]] = {}
        self.delay = 0.0
        self.lists = self.allocatables = 0
        self.shuffles = True
        self.unimplemented: set[str] = set()
        self.raw: bytes | None = None
        self._lock = threading.Lock()
        self._server: grpc.Server | None = None

    def give(self, namespace: str, pod: str, device: str, resource: str = "nvidia.com/gpu") -> None:
        """Give one device to the container `main` of a pod."""
        with self._lock:
            container = self.given.setdefault((namespace, pod, "main"), {})
            container.setdefault(resource, []).append(device)

    def remove(self, namespace: str, pod: str) -> None:
        """The pod ends."""
        with self._lock:
            self.given.pop((namespace, pod, "main"), None)
            self.claimed.pop((namespace, pod, "main"), None)

    def start(self) -> None:
        """Listen, on a socket made anew."""
        self.socket.unlink(missing_ok=True)
        server = grpc.server(futures.ThreadPoolExecutor(4))
        handlers = {"List": self._list, "GetAllocatableResources": self._allocatable}
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "v1.PodResourcesLister",
                    {
                        name: grpc.unary_unary_rpc_method_handler(self._unless(name, handler))
                        for name, handler in handlers.items()
                    },
                ),
            )
        )
        server.add_insecure_port(f"unix:{self.socket}")
        server.start()
        self._server = server

    def stop(self) -> None:
        """Go down and leave no socket, as Go does."""
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None
        self.socket.unlink(missing_ok=True)

    def _unless(
        self, name: str, handler: Callable[[], bytes]
    ) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def handle(_request: bytes, context: grpc.ServicerContext) -> bytes:
            if name in self.unimplemented:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {name}")
            return handler()

        return handle

    def _list(self) -> bytes:
        self.lists += 1
        time.sleep(self.delay)
        if self.raw is not None:
            return self.raw
        with self._lock:
            containers = list(dict.fromkeys([*self.given, *self.claimed]))
            if self.shuffles:
                random.shuffle(containers)
            pods = [self._pod(container) for container in containers]
        return pb.ListPodResourcesResponse(pod_resources=pods).SerializeToString()

    def _pod(self, container: tuple[str, str, str]) -> pb.PodResources:
        namespace, pod, name = container
        devices = [
            pb.ContainerDevices(resource_name=resource, device_ids=[device])
            for resource, ids in self.given.get(container, {}).items()
            for device in ids
        ]
        claims = [
            pb.ClaimResource(driver_name=driver, pool_name=pool, device_name=device)
            for driver, pool, device in self.claimed.get(container, ())
        ]
        dynamic = [pb.DynamicResource(claim_name="c", claim_resources=claims)] if claims else []
        held = pb.ContainerResources(name=name, devices=devices, dynamic_resources=dynamic)
        return pb.PodResources(name=pod, namespace=namespace, containers=[held])

    def _allocatable(self) -> bytes:
        self.allocatables += 1
        devices = [
            pb.ContainerDevices(resource_name=resource, device_ids=ids)
            for resource, ids in self.allocatable.items()
        ]
        return pb.AllocatableResourcesResponse(devices=devices).SerializeToString()


@contextmanager
def fake_kubelet(folder: Path) -> Iterator[FakeKubelet]:
    """A kubelet that listens on ``kubelet.sock`` in the folder."""
    kubelet = FakeKubelet(folder / "kubelet.sock")
    kubelet.start()
    try:
        yield kubelet
    finally:
        kubelet.stop()
