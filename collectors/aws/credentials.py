"""Where this host's AWS credentials come from, in the order in which AWS's own tools look.

A file that was named, the environment, a Kubernetes service account's role, the instance's role.
Temporary ones are kept until shortly before they expire. None of it is ever in an error or a log.
"""

import configparser
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from unitcost.collectors import fetch
from unitcost.collectors.address import parse_url
from unitcost.collectors.aws.answers import parsed, text_of
from unitcost.collectors.aws.sigv4 import Credentials
from unitcost.collectors.price_contract import PriceSourceError
from unitcost.collectors.price_reading import (
    Unusable,
    asked,
    decoded,
    instant_ns,
    plain_name,
    read_secret,
)

Provider = Callable[[float], Credentials | None]
"""Credentials by a deadline; None where there are none of its kind. Raises PriceSourceError."""

RENEW_NS = 5 * 60 * 1_000_000_000
CAP = 64 * 1024


class Keeper:
    """The first of several providers that has any; kept until they are about to expire."""

    def __init__(self, providers: tuple[Provider, ...], wall_ns: Callable[[], int]) -> None:
        self._providers = providers
        self._wall_ns = wall_ns
        self._kept: Credentials | None = None

    def __call__(self, deadline: float) -> Credentials:
        """Credentials that are good now. Raises PriceSourceError."""
        kept = self._kept
        if kept and kept.expires_ns and kept.expires_ns - RENEW_NS > self._wall_ns():
            return kept
        for provider in self._providers:
            found = provider(deadline)
            if found is not None:
                self._kept = found
                return found
        raise PriceSourceError("there are no AWS credentials: no file, environment or role")


def from_file(path: str, profile: str, folder: Path) -> Provider:
    """Of a file as AWS's tools have it (``[default]``, ``aws_access_key_id = ...``)."""

    def provide(_deadline: float) -> Credentials | None:
        if not path:
            return None
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(read_secret(path, folder))
            section = parser[profile]
            found = _plain(
                section["aws_access_key_id"],
                section["aws_secret_access_key"],
                section.get("aws_session_token", ""),
            )
        except (configparser.Error, KeyError):  # their texts may show a line of the file
            raise PriceSourceError(f"{path} has no keys of the profile {profile}") from None
        return found

    return provide


def from_environment(environment: Mapping[str, str]) -> Provider:
    """Of ``AWS_ACCESS_KEY_ID`` and its siblings."""

    def provide(_deadline: float) -> Credentials | None:
        key, secret = (
            environment.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        )
        if not (key and secret):
            return None
        return _plain(key, secret, environment.get("AWS_SESSION_TOKEN", ""))

    return provide


def _plain(key: str, secret: str, token: str, expires_ns: int | None = None) -> Credentials:
    for text in (key, secret, token):
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise PriceSourceError("AWS credentials with odd characters")
    if not (key and secret):
        raise PriceSourceError("AWS credentials without a key")
    return Credentials(key, secret, token, expires_ns)


def from_service_account(
    environment: Mapping[str, str], region: Callable[[], str], url: str = ""
) -> Provider:
    """Of the role of a Kubernetes service account (EKS): its token is exchanged at STS."""

    def provide(deadline: float) -> Credentials | None:
        role = environment.get("AWS_ROLE_ARN", "")
        token_file = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE", "")
        if not (role and token_file):
            return None
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": "unitcost",
            "WebIdentityToken": read_secret(token_file, Path("/")),
        }

        def ask(timeout: float) -> bytes:
            return fetch.post(
                url or endpoint("sts", region()),
                urlencode(form).encode(),
                timeout=timeout,
                cap=CAP,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )

        answer = parsed(asked(ask, deadline, 10.0))
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        path = ("AssumeRoleWithWebIdentityResult", "Credentials")
        key, secret, token, expires = (text_of(answer, *path, name) for name in names)
        return _plain(key, secret, token, _expiry(expires))

    return provide


def endpoint(service: str, region: str) -> str:
    """Where a service of a region is asked. Raises PriceSourceError for odd names."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{service}.{plain_name(region, 'region')}.{suffix}/"


def host_header(url: str) -> str:
    """What stands in the Host header of a request there."""
    place = parse_url(url)
    usual = 443 if place.scheme == "https" else 80
    return place.host if place.port == usual else f"{place.host}:{place.port}"


def _expiry(text: str) -> int:
    try:
        return instant_ns(text)
    except Unusable:
        raise PriceSourceError("temporary AWS credentials do not say when they expire") from None


class _RoleKeys(msgspec.Struct, frozen=True):
    Code: str
    AccessKeyId: str = ""
    SecretAccessKey: str = ""
    Token: str = ""
    Expiration: str = ""


RoleKeys = Callable[[float], str | None]
"""``role_keys(deadline)``: the keys of the instance's role, as JSON; None where it has none."""


def from_instance(role_keys: RoleKeys) -> Provider:
    """Of the role of the EC2 instance."""

    def provide(deadline: float) -> Credentials | None:
        text = role_keys(deadline)
        if text is None:
            return None
        keys = decoded(text, _RoleKeys, "the metadata service's answer")
        if keys.Code != "Success":
            raise PriceSourceError("the instance's role has no credentials now")
        expires_ns = _expiry(keys.Expiration)
        return _plain(keys.AccessKeyId, keys.SecretAccessKey, keys.Token, expires_ns)

    return provide


def usual_chain(
    file: tuple[str, str, Path],
    environment: Mapping[str, str],
    region: Callable[[], str],
    role_keys: RoleKeys,
    wall_ns: Callable[[], int],
) -> "Keeper":
    """Credentials as AWS's tools look for them: file, environment, service account, instance.

    `file`: path, profile and folder; `region`: that in which STS is asked.
    """
    providers = (
        from_file(*file),
        from_environment(environment),
        from_service_account(environment, region),
        from_instance(role_keys),
    )
    return Keeper(providers, wall_ns)
