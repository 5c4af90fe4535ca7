"""Which URLs a configuration may name."""

import pytest

from unitcost.collectors.address import is_loopback, parse_url
from unitcost.collectors.fetch import FetchError, FetchKind, check_url, fetch

HOSTILE = [
    "",
    "metrics",
    "127.0.0.1:8000/metrics",
    "//127.0.0.1/metrics",
    "http:/127.0.0.1/metrics",
    "http:///metrics",
    "http://",
    "ftp://127.0.0.1/metrics",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/_GET",
    "unix:///var/run/docker.sock",
    "data:text/plain,a%201",
    "javascript:alert(1)",
    "HTTPS+unix://x/",
    "http://user@127.0.0.1/",
    "http://user:password@127.0.0.1/",
    "http://trusted.example@169.254.169.254/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:port/",
    "http://127.0.0.1:/",
    "http://127.0.0.1:80:80/",
    "http://127.0.0.1/metrics#part",
    "http://127.0.0.1/metrics#",
    "http://127.0.0.1/a b",
    "http://127.0.0.1/\r\nX-Header: y",
    "http://127.0.0.1/\tmetrics",
    "http://127.0.0.1\\@evil.example/",
    "http://127.0.0.1/\x00",
    "http://127.0.0.1/\x7f",
    " http://127.0.0.1/",
    "http://m\u00f6del/metrics",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://[::1/",
    "http://[::1]x/",
    "http://[zz]/",
    "http://::1/",
    "http://..../",
    "http://-model-/",
    "http://a..b/",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0251.0376.0251.0376/",
    "http://127.1/",
    "http://127.0.0.1.5/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://100.100.100.200/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[::169.254.169.254]/",
    "http://0.0.0.0:8000/",
    "http://[::]:8000/",
    "http://224.0.0.1/",
    "http://[ff02::1]/",
    "http://" + "a" * 254 + "/",
    "http://127.0.0.1/" + "a" * 3000,
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused(url: str) -> None:
    """By the check of the configuration, and by the client itself."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        check_url(url)
    assert "password" not in str(caught.value).replace("no password", "")
    with pytest.raises(FetchError) as refused:
        fetch(url)
    assert refused.value.kind == FetchKind.FORBIDDEN


GOOD = {
    "http://127.0.0.1:8000/metrics": ("127.0.0.1", 8000, "/metrics"),
    "http://localhost:8000": ("localhost", 8000, "/"),
    "HTTP://Model-Server/metrics": ("model-server", 80, "/metrics"),
    "https://vllm.models.svc.cluster.local/metrics": (
        "vllm.models.svc.cluster.local",
        443,
        "/metrics",
    ),
    "http://model_server:8080/metrics?model=a%2Fb&x=1": (
        "model_server",
        8080,
        "/metrics?model=a%2Fb&x=1",
    ),
    "http://[::1]:8000/metrics": ("::1", 8000, "/metrics"),
    "http://[2001:db8::7]/metrics": ("2001:db8::7", 80, "/metrics"),
    "http://10.0.0.7:8000/v1/metrics": ("10.0.0.7", 8000, "/v1/metrics"),
    "http://model.example./metrics": ("model.example.", 80, "/metrics"),
    "http://gpu-7.4u/metrics": ("gpu-7.4u", 80, "/metrics"),
}


@pytest.mark.parametrize("url", GOOD)
def test_a_good_url_is_taken_apart(url: str) -> None:
    """Host, port and what is asked for."""
    check_url(url)
    place = parse_url(url)
    assert (place.host, place.port, place.target) == GOOD[url]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_known_without_looking_up(host: str, expected: bool) -> None:
    """By name or address."""
    assert is_loopback(host) is expected
