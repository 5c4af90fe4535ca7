"""Spot prices of AWS, from answers made by hand in the documented shape; requests are signed."""

import re
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from tests.collectors.prices.asking import NOW, NOW_NS, context, failure, ns, quotes, said
from tests.collectors.prices.web import Answer, Asked, Web, ok, web
from unitcost.collectors.aws.sigv4 import Credentials, signed
from unitcost.collectors.price_contract import NotHere
from unitcost.collectors.price_sources.aws_spot import AwsSpot, Options, make_source
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Offered, Why, resolve

HOST = HostIdentity("aws", "us-east-1", "us-east-1b", "p5.48xlarge", PriceModel.SPOT)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIEXAMPLEKEY"}
SECRETS = ("AKIDEXAMPLE", "wJalrXUtnFEMIEXAMPLEKEY", "a-session-token")


def no_role(_: float) -> None:
    """A host without a role."""


def record(
    price: str,
    since: str,
    zone: str = "us-east-1b",
    sku: str = "p5.48xlarge",
    product: str = "Linux/UNIX",
) -> str:
    """One record."""
    return (
        f"<item><instanceType>{sku}</instanceType>"
        f"<productDescription>{product}</productDescription>"
        f"<spotPrice>{price}</spotPrice><timestamp>{since}</timestamp>"
        f"<availabilityZone>{zone}</availabilityZone>"
        "<availabilityZoneId>use1-az4</availabilityZoneId></item>"
    )


def history(*records: str, following: str = "") -> str:
    """An answer with these records."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        "<requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>"
        f"<spotPriceHistorySet>{''.join(records)}</spotPriceHistorySet>"
        f"<nextToken>{following}</nextToken></DescribeSpotPriceHistoryResponse>"
    )


def source(
    server: Web, environment: Mapping[str, str] = KEYS, role: Any = no_role, **options: Any
) -> AwsSpot:
    """The source that asks this server."""
    folder = options.pop("folder", Path("/nonexistent"))
    return AwsSpot(Options(url=server.url, **options), context(folder), environment, role)


def asked_of(answer: Callable[[Asked], Answer] | Answer) -> Any:
    """What the source says where the API answers so, and the source."""
    with web(answer) as server:
        asking = source(server)
        return quotes(asking, HOST), asking


def why_not(answer: Callable[[Asked], Answer] | Answer) -> str:
    """Why the source says nothing; no secret is in it."""
    with web(answer) as server:
        why = failure(source(server), HOST)
    assert not any(secret in why for secret in SECRETS)
    return why


def test_each_price_holds_from_its_change_until_the_next() -> None:
    """In each zone; the zones are not mixed, and above on-demand is a price like another."""
    found, asking = asked_of(
        ok(
            history(
                record("98.500000", "2026-11-20T11:40:10.000Z"),
                record("21.250000", "2026-11-20T11:20:00.500Z"),
                record("20.100000", "2026-11-20T09:00:00.000Z"),
                record("18.000000", "2026-11-20T11:50:00.000Z", "us-east-1a"),
            )
        )
    )
    assert said(found) == [
        ("spot", "us-east-1a", "USD", "18.000000", ns("2026-11-20T11:50:00"), None),
        (
            "spot",
            "us-east-1b",
            "USD",
            "20.100000",
            ns("2026-11-20T09:00:00"),
            ns("2026-11-20T11:20:00.5"),
        ),
        (
            "spot",
            "us-east-1b",
            "USD",
            "21.250000",
            ns("2026-11-20T11:20:00.5"),
            ns("2026-11-20T11:40:10"),
        ),
        ("spot", "us-east-1b", "USD", "98.500000", ns("2026-11-20T11:40:10"), None),
    ]
    resolution = resolve(HOST, [Offered(asking.rank, found)])
    assert [each.why for each in resolution.rejected] == [Why.ZONE]
    prices = [each.quote.per_hour for each in resolution.chosen]
    assert prices == [Decimal("20.1"), Decimal("21.25"), Decimal("98.5")]
    assert found[0].as_of_ns == NOW_NS


DECOYS = {
    "not Linux": record("30", "2026-11-20T11:00:00Z", product="Windows"),
    "another instance type": record("1", "2026-11-20T11:00:00Z", sku="p5.4xlarge"),
    "another region": record("1", "2026-11-20T11:00:00Z", zone="eu-west-1a"),
    "a price of 0": record("0.000000", "2026-11-20T11:00:00Z"),
    "negative": record("-1", "2026-11-20T11:00:00Z"),
    "no number": record("NaN", "2026-11-20T11:00:00Z"),
    "no instant": record("1", "now"),
    "an instant without its time zone": record("1", "2026-11-20T11:00:00"),
    "no price can be so": record("1", "2026-11-20T11:00:00Z", zone="us-east-1" + "a" * 200),
}


def test_decoys_are_counted_and_left_out() -> None:
    """Each under its reason."""
    price = record("20", "2026-11-20T11:00:00Z")
    found, asking = asked_of(ok(history(*DECOYS.values(), price)))
    assert [str(each.per_hour) for each in found] == ["20"]
    assert asking.dropped == dict.fromkeys(DECOYS, 1)
    found, asking = asked_of(ok(history(price, record("21", "2026-11-20T11:00:00Z"))))
    assert found == ()
    assert asking.dropped == {"contradicts another row": 2}


def test_the_request_is_signed_for_this_region_and_says_what_it_wants() -> None:
    """As AWS checks it: by the same signature."""
    with web(ok(history())) as server:
        quotes(source(server, {**KEYS, "AWS_SESSION_TOKEN": "a-session-token"}), HOST)
    (asked,) = server.asked
    assert parse_qs(asked.body.decode()) == {
        "Action": ["DescribeSpotPriceHistory"],
        "Version": ["2016-11-15"],
        "InstanceType.1": ["p5.48xlarge"],
        "ProductDescription.1": ["Linux/UNIX"],
        "StartTime": ["2026-11-20T11:00:00Z"],
        "MaxResults": ["1000"],
    }
    expected = signed(
        "POST",
        asked.headers["host"],
        {"Content-Type": asked.headers["content-type"]},
        asked.body,
        region="us-east-1",
        service="ec2",
        credentials=Credentials(SECRETS[0], SECRETS[1], "a-session-token"),
        at=NOW,
    )
    assert asked.method == "POST"
    for name, value in expected.items():
        assert asked.headers[name.lower()] == value


def test_a_local_zone_is_asked_for_at_its_region() -> None:
    """Which signs for the region, and prices the zone."""
    local = HostIdentity("aws", "us-west-2-lax-1", "us-west-2-lax-1a", "g4dn.2xlarge")
    price = record("1", "2026-11-20T11:00:00Z", "us-west-2-lax-1a", "g4dn.2xlarge")
    with web(ok(history(price))) as server:
        (quote,) = quotes(source(server), local)
    assert (quote.key.region, quote.key.zone) == (local.region, local.zone)
    assert "/us-west-2/ec2/aws4_request" in server.asked[0].headers["authorization"]


def test_all_pages_are_read_but_not_for_ever() -> None:
    """By the token of the page before."""

    def paged(asked: Asked) -> Answer:
        page = int(parse_qs(asked.body.decode()).get("NextToken", ["0"])[0])
        if page == 2:
            return ok(history(record("20", "2026-11-20T11:00:00Z")))
        return ok(history(DECOYS["not Linux"], following=str(page + 1)))

    found, asking = asked_of(paged)
    assert [str(each.per_hour) for each in found] == ["20"]
    assert asking.dropped == {"not Linux": 2}
    assert "more than 20 pages" in why_not(ok(history(following="again")))


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><x>&a;&a;&a;</x>'
BROKEN: dict[str, tuple[Answer, str]] = {
    "not allowed": ((403, b"<Response/>", {}), "ec2:DescribeSpotPriceHistory is not allowed"),
    "wrong keys": ((401, b"", {}), "the credentials are wrong or old"),
    "says it back": ((500, b"", {}), "500"),
    "redirect": ((302, b"", {"Location": "http://169.254.169.254/"}), "302"),
    "junk": (ok(b"\x00\xff" * 1000), "no XML"),
    "10 MB of junk": (ok(b"x" * 10_000_000), "larger than"),
    "cut off": (ok(history()[:-5]), "no XML"),
    "entities": (ok(BOMB), "document type"),
    "entities in UTF-16": (ok(BOMB.encode("utf-16")), "no XML"),
    "another answer": (ok("<Response><Errors/></Response>"), "no history of Spot prices"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_is_none_is_an_error(name: str) -> None:
    """In one line, without a secret."""
    answer, why = BROKEN[name]
    assert why in why_not(answer)


def test_a_slow_answer_is_cut_off() -> None:
    """At the time of one question."""

    def slow(_: Asked) -> Answer:
        time.sleep(0.4)
        return ok(history())

    with web(slow) as server:
        assert "in time" in failure(source(server, timeout=0.1), HOST)


def test_only_hosts_on_spot_are_asked_for() -> None:
    """One that does not know its terms is."""
    with web(ok(history(record("20", "2026-11-20T11:00:00Z")))) as server:
        for model in (PriceModel.ON_DEMAND, PriceModel.CAPACITY_BLOCK):
            with pytest.raises(NotHere):
                quotes(source(server), HostIdentity("aws", "us-east-1", "", "p5.48xlarge", model))
        with pytest.raises(NotHere):
            quotes(source(server), HostIdentity("gcp", "us-east1", "", "a3-highgpu-8g"))
        assert not server.asked
        assert len(quotes(source(server), HostIdentity("aws", "us-east-1", "", "p5.48xlarge"))) == 1


def test_without_credentials_nothing_is_asked() -> None:
    """And it is said so."""
    with web(ok(history())) as server:
        assert "no AWS credentials" in failure(source(server, {}), HOST)
    assert not server.asked


def test_credentials_of_a_file_come_first(tmp_path: Path) -> None:
    """As AWS's tools write it; a wrong one is not passed over, nor shown."""
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = x\n"
        "[costs]\naws_access_key_id = AKIDCOSTS\naws_secret_access_key = s3cr3t%\n"
        "aws_session_token = t0k3n\n"
    )
    options: dict[str, Any] = {
        "folder": tmp_path,
        "credentials_file": "credentials",
        "profile": "costs",
    }
    with web(ok(history())) as server:
        quotes(source(server, **options), HOST)
        assert "Credential=AKIDCOSTS/" in server.asked[0].headers["authorization"]
        assert server.asked[0].headers["x-amz-security-token"] == "t0k3n"
        for text in ("", "s3cr3t\n", "[costs]\naws_access_key_id = s3cr3t\n", "[a]\n[a]\n"):
            file.write_text(text)
            why = failure(source(server, **options), HOST)
            assert "credentials" in why
            assert "s3cr3t" not in why
        file.write_text("[costs]\naws_access_key_id = a b\naws_secret_access_key = s3cr3t\n")
        assert failure(source(server, **options), HOST) == "AWS credentials with odd characters"
        file.unlink()
        assert "cannot be read" in failure(source(server, **options), HOST)


class Instance:
    """An instance with a role, whose keys change each time they are asked for."""

    def __init__(self, expires: str, code: str = "Success") -> None:
        self.asked = 0
        self.expires = expires
        self.code = code

    def __call__(self, _: float) -> str:
        """The JSON that EC2 has for a role."""
        self.asked += 1
        return (
            f'{{"Code": "{self.code}", "LastUpdated": "2026-11-20T10:00:00Z", '
            f'"Type": "AWS-HMAC", "AccessKeyId": "ASIA{self.asked}", "SecretAccessKey": "s", '
            f'"Token": "t", "Expiration": "{self.expires}"}}'
        )


def test_the_instances_role_is_asked_until_its_keys_expire() -> None:
    """Kept while they are good; anew five minutes before they are not."""
    with web(ok(history())) as server:
        instance = Instance("2026-11-20T18:00:00Z")
        asking = source(server, {}, instance)
        quotes(asking, HOST)
        quotes(asking, HOST)
        assert instance.asked == 1
        ending = Instance("2026-11-20T12:04:59Z")
        asking = source(server, {}, ending)
        quotes(asking, HOST)
        quotes(asking, HOST)
        assert ending.asked == 2
        keys = [
            re.search(r"Credential=(\w+)/", each.headers["authorization"]) for each in server.asked
        ]
        assert [key and key[1] for key in keys] == ["ASIA1", "ASIA1", "ASIA1", "ASIA2"]
        for wrong, why in (
            (Instance("2026-11-20T18:00:00Z", code="Failed"), "no credentials now"),
            (Instance("soon"), "do not say when they expire"),
        ):
            assert why in failure(source(server, {}, wrong), HOST)


def test_a_service_accounts_token_is_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At STS, which the pod's environment does not need a key for."""
    (tmp_path / "token").write_text("the-web-token\n")
    environment = {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/costs",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }

    def sts(_: Asked) -> Answer:
        return ok(
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAWEB</AccessKeyId>"
            "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
            "<Expiration>2026-11-20T13:00:00Z</Expiration></Credentials>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )

    with web(sts) as exchange, web(ok(history())) as server:
        monkeypatch.setattr(
            "unitcost.collectors.aws.credentials.endpoint", lambda service, region: exchange.url
        )
        quotes(source(server, environment), HOST)
    form = parse_qs(exchange.asked[0].body.decode())
    assert form["WebIdentityToken"] == ["the-web-token"]
    assert form["RoleArn"] == ["arn:aws:iam::123456789012:role/costs"]
    assert "Credential=ASIAWEB/" in server.asked[0].headers["authorization"]


def test_a_secret_goes_only_where_it_is_safe() -> None:
    """Over https, or to this host."""
    for url in ("http://ec2.example/", "http://169.254.169.254/"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"url": url}, Options)
    assert make_source(Options(), context()).name == "aws_spot"
