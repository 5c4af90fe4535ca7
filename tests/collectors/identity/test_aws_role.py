"""The keys of an instance's role, asked of a service as strict as EC2's."""

import time

import pytest

from tests.collectors.identity.conftest import PointTo
from tests.collectors.identity.fake_metadata import fake_metadata
from unitcost.collectors.identity.aws_role import role_keys

ROLES = "iam/security-credentials/"


def soon() -> float:
    """A deadline that no test comes near."""
    return time.monotonic() + 30


def test_the_keys_of_the_role_are_asked_for_with_a_token(point_to: PointTo) -> None:
    """The role's name first, then its keys."""
    with fake_metadata("aws", {ROLES: "costs-role\n", ROLES + "costs-role": "{}"}) as fake:
        point_to(fake.port)
        assert role_keys(soon()) == "{}"
    assert [method for method, _ in fake.requests] == ["PUT", "GET", "GET"]


@pytest.mark.parametrize("role", [None, "", "../../user-data", "a role", "r" * 129])
def test_without_a_role_there_are_none(point_to: PointTo, role: str | None) -> None:
    """Nor for a name that no role has: it would be another question."""
    with fake_metadata("aws", {ROLES: role}) as fake:
        point_to(fake.port)
        assert role_keys(soon()) is None
    assert len(fake.requests) == 2


def test_off_amazon_nothing_is_found(point_to: PointTo) -> None:
    """Neither where nobody listens, nor where another cloud answers."""
    point_to()
    assert role_keys(soon()) is None
    with fake_metadata("gcp") as fake:
        point_to(fake.port)
        assert role_keys(soon()) is None
