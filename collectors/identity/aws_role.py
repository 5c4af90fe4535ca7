"""The keys of an EC2 instance's role, for sources of prices that must sign their questions.

The only secret that is ever asked of a metadata service, and only where `aws_spot` or
`aws_price_list` is configured and finds no other credentials: whoever holds it can do whatever the
instance's role may.
"""

from collections.abc import Mapping

from unitcost.collectors.fetch import FetchError
from unitcost.collectors.identity import metadata
from unitcost.collectors.identity.aws import TOKEN, TOKEN_TARGET, TTL

KEYS_TARGET = "/latest/meta-data/iam/security-credentials/"


def role_keys(deadline: float) -> str | None:
    """The service's JSON with the keys; None where there is no instance or it has no role."""
    until = metadata.limited(deadline)

    def ask(target: str, headers: Mapping[str, str], method: str = "GET") -> str:
        return metadata.ask(target, headers, method=method, deadline=until).text.strip()

    try:
        token = {TOKEN: ask(TOKEN_TARGET, {TTL: "60"}, "PUT")}
        role = ask(KEYS_TARGET, token)
        if (
            not role
            or len(role) > 128
            or not all(each.isalnum() or each in "+=,.@_-" for each in role)
        ):
            return None
        return ask(KEYS_TARGET + role, token)
    except FetchError:
        return None
