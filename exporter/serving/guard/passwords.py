"""Basic authentication (RFC 7617) against bcrypt hashes, which are slow by design.

A password that was good is remembered, as exporter-toolkit does, by a keyed digest: its next
check costs nothing. All others are computed, for unknown users, too, in a thread of their own.
"""

import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial

from unitcost.exporter.serving.guard.turns import Turns

THREADS = 1
"""As in exporter-toolkit: whoever guesses passwords takes one core, and not all of them."""
WAITING = 32
"""Checks that may wait at once; one more is told to come again."""
WAIT_SECONDS = 10.0
REMEMBERED = 256
SIGNIFICANT = 72
"""bcrypt looks at no more bytes of a password than these."""
_NOBODYS = b"$%s$AHoOAAFQq3zg3.1bViPxTuvL2COfiq7X5dEUnRMr9H9IcpoAOr2wS"
"""A hash that belongs to nobody, for users that do not exist; version and cost are filled in."""

Users = Mapping[bytes, bytes]


def credentials(authorization: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """User and password of a request's Authorization headers; None unless it is one good one."""
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, password = base64.b64decode(token.strip(), validate=True).partition(b":")
    except binascii.Error:
        return None
    return (user, password) if colon else None


class Passwords:
    """Checks passwords; for one event loop."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._secret = secrets.token_bytes(32)
        self._turns = Turns(THREADS, WAITING, WAIT_SECONDS)
        self._users: Users = {}
        self._good: OrderedDict[bytes, tuple[bytes, bytes]] = OrderedDict()

    async def good(self, users: Users, authorization: Sequence[bytes], client: str) -> bool:
        """Whether a request's Authorization headers name a user and the password.

        `client` is who asks, so that many checks for one do not keep others waiting. Raises Busy.
        """
        self._follow(users)
        found = credentials(authorization)
        if found is None:
            return False
        user, password = found[0], found[1][:SIGNIFICANT]
        stored = users.get(user)
        hashed = stored or self._nobodys(users, user)
        key = self._key(user, password, hashed)
        if key in self._good:
            self._good.move_to_end(key)
            return True
        matches = await self._turns.run(client, partial(_matches, password, hashed))
        if stored is None or not matches:
            return False
        if users is self._users:  # else they changed meanwhile
            self._good[key] = (user, hashed)
            if len(self._good) > REMEMBERED:
                self._good.popitem(last=False)
        return True

    def close(self) -> None:
        """Check no more; from any thread."""
        self._turns.close()

    def _follow(self, users: Users) -> None:
        """Forget whose hash is no longer the same."""
        if users is not self._users:
            self._users = users
            kept = (item for item in self._good.items() if users.get(item[1][0]) == item[1][1])
            self._good = OrderedDict(kept)

    def _nobodys(self, users: Users, user: bytes) -> bytes:
        """A hash as slow as one of the users' is, always the same for this name."""
        heads = sorted({hashed[1:6] for hashed in users.values()})
        number = int.from_bytes(self._key(user, b"", b"")[:8], "big")
        return _NOBODYS % heads[number % len(heads)]

    def _key(self, *parts: bytes) -> bytes:
        """A digest that only this process can make, of parts that cannot run into each other."""
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def _matches(password: bytes, hashed: bytes) -> bool:
    """Whether a password is the one; takes long and lets other threads run."""
    import bcrypt  # most hosts have no users

    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:  # of old versions, for a password with a NUL in it
        return False
