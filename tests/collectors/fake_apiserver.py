"""An API server for tests: lists pods and resource slices, over TLS, to who has the token."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token"  # noqa: S105 - of a test
NODE = "node-a"

Json = dict[str, Any]


class FakeApiServer:
    """What the cluster has; `page` is how many items a page holds."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.pods: list[Json] = []
        self.slices: dict[str, list[Json]] = {}
        self.objects: dict[str, Json] = {}
        self.page = 1000
        self.status = 200
        self.body: bytes | None = None
        self.requests: list[str] = []
        self.url = ""

    def answer(self, target: str, authorization: str) -> tuple[int, bytes]:
        """Status and body for a request."""
        self.requests.append(target)
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if authorization != f"Bearer {self.token}":
            return 401, b"{}"
        if self.status != 200:
            return self.status, b"{}"
        if self.body is not None:
            return 200, self.body
        if not query:
            found = self.objects.get(parts.path)
            return (404, b"{}") if found is None else (200, json.dumps(found).encode())
        items = self._items(parts.path, query)
        if items is None:
            return 404, b"{}"
        begin = int(query.get("continue", "0=").rstrip("="))
        end = begin + self.page
        metadata = {"continue": f"{end}="} if end < len(items) else {}
        page = {"metadata": metadata, "items": items[begin:end]}
        return 200, json.dumps(page).encode()

    def _items(self, path: str, query: dict[str, str]) -> list[Json] | None:
        assert query["fieldSelector"] == f"spec.nodeName={NODE}"
        assert ("continue" in query) != (query.get("resourceVersion") == "0")
        if path == "/api/v1/pods":
            return self.pods
        group, _, version = path.removesuffix("/resourceslices").rpartition("/")
        return self.slices.get(version) if group == "/apis/resource.k8s.io" else None


def pod(name: str, **parts: Any) -> Json:
    """A running pod with one container, as the API server writes it; `parts` replace."""
    uid = parts.pop("uid", f"uid-{name}")
    metadata = {"name": name, "namespace": "default", "uid": uid, **parts.pop("metadata", {})}
    container = {"name": "main", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}
    state = {"name": "main", "ready": True, "containerID": f"containerd://id-{name}"}
    status = {"phase": "Running", "containerStatuses": [state], **parts.pop("status", {})}
    spec = {"nodeName": NODE, "containers": [container], **parts.pop("spec", {})}
    return {"metadata": metadata, "spec": spec, "status": status, **parts}


def owner(kind: str, name: str) -> Json:
    """Metadata of a pod with that controller."""
    return {"ownerReferences": [{"kind": kind, "name": name, "controller": True, "uid": "x"}]}


def service_account(folder: Path, certificate: Path, token: str = TOKEN) -> Path:
    """The folder that a pod finds its service account in."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes(certificate.read_bytes())
    return folder


def make_certificate(folder: Path, openssl: str = "openssl") -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, made by openssl."""
    made, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


@contextmanager
def fake_apiserver(certificate: Path, key: Path) -> Iterator[FakeApiServer]:
    """An API server on loopback, over TLS."""
    fake = FakeApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = fake.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
