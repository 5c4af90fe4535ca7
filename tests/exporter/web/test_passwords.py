"""Checking passwords: remembered without being mixed up, taken in turns, as slow for nobody."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from tests.exporter.web.certificates import hashed
from tests.exporter.web.served import ask, basic, served
from unitcost.exporter.serving.guard import passwords
from unitcost.exporter.serving.guard.passwords import Passwords, Users, credentials
from unitcost.exporter.serving.guard.turns import Busy, Turns

OPENWALL = {
    "U*U": b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "U*U*": b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
    "": b"$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy",
}
"""Test vectors of crypt_blowfish (openwall.com/crypt), which all implementations share."""


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that were computed against, in order."""
    seen: list[bytes] = []
    real: Callable[[bytes, bytes], bool] = bcrypt.checkpw

    def checkpw(password: bytes, stored: bytes) -> bool:
        seen.append(stored)
        return real(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    return seen


def check(checker: Passwords, users: Users, *given: tuple[str, str]) -> list[bool]:
    """Each pair of user and password, one after the other."""

    async def all_of_them() -> list[bool]:
        return [await checker.good(users, [basic(*pair).encode()], "10.0.0.1") for pair in given]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("password", OPENWALL)
@pytest.mark.parametrize("version", [b"$2a", b"$2b", b"$2y"])
def test_hashes_of_others_are_understood(password: str, version: bytes) -> None:
    """Whatever made them calls the version what it likes: htpasswd says 2y."""
    users = {b"me": OPENWALL[password].replace(b"$2a", version)}
    assert check(Passwords(), users, ("me", password), ("me", "other")) == [True, False]


def test_a_good_password_is_computed_once_and_a_bad_one_each_time(computed: list[bytes]) -> None:
    """Bad ones are not remembered: they would drive out the good."""
    users = {b"me": hashed("pw").encode()}
    checker = Passwords()
    assert check(checker, users, *[("me", "pw")] * 5) == [True] * 5
    assert len(computed) == 1
    assert check(checker, users, *[("me", "no")] * 3) == [False] * 3
    assert len(computed) == 4
    assert check(checker, dict(users), ("me", "pw")) == [True]  # read again, the same
    assert len(computed) == 4


def test_what_is_remembered_is_not_taken_for_something_else() -> None:
    """CVE-2022-46146: parts of a key must not run into each other."""
    first, second = hashed("pw").encode(), hashed("other").encode()
    users = {b"me": first, b"you": second}
    checker = Passwords()
    assert check(checker, users, ("me", "pw")) == [True]
    tries = [
        ("you", "pw"),
        ("m", "epw"),
        ("me", "pw\0"),
        ("me", first.decode() + "pw"),
        ("me" + first.decode(), "pw"),
        ("you", first.decode() + "pw"),
        ("nobody", "pw"),
    ]
    assert check(checker, users, *tries) == [False] * len(tries)


def test_where_a_name_ends_and_a_password_begins_is_remembered() -> None:
    """Of two users with one hash, who has the other's name for a beginning."""
    stored = hashed("pw").encode()
    users = {b"me": stored, b"m": stored}
    tries = [("me", "pw"), ("m", "epw"), ("m", "pw"), ("me", "")]
    assert check(Passwords(), users, *tries) == [True, False, True, False]


def test_nobodys_password_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if somebody found out what it is."""
    monkeypatch.setattr(passwords, "_NOBODYS", b"$%s$" + hashed("nobody's").encode()[7:])
    users = {b"me": hashed("pw").encode()}
    tries = [("nobody", "nobody's")] * 2
    assert check(Passwords(), users, *tries) == [False, False]


def test_a_changed_hash_or_a_user_who_is_gone_is_forgotten(computed: list[bytes]) -> None:
    """The others need not be computed again."""
    users = {b"me": hashed("pw").encode(), b"you": hashed("pw").encode()}
    checker = Passwords()
    assert check(checker, users, ("me", "pw"), ("you", "pw")) == [True, True]
    changed = users | {b"me": hashed("new").encode()}
    assert check(checker, changed, ("me", "pw"), ("me", "new"), ("you", "pw")) == [
        False,
        True,
        True,
    ]
    assert len(computed) == 4
    assert check(checker, {b"you": users[b"you"]}, ("me", "new"), ("you", "pw")) == [False, True]
    assert len(computed) == 5
    assert check(checker, users, ("me", "pw")) == [True]
    assert len(computed) == 6


def test_no_more_than_so_many_are_remembered(
    computed: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were used last."""
    monkeypatch.setattr(passwords, "REMEMBERED", 3)
    users = {f"u{number}".encode(): hashed("pw").encode() for number in range(4)}
    checker = Passwords()
    check(checker, users, *((f"u{number}", "pw") for number in range(4)))
    assert len(computed) == 4
    assert check(checker, users, ("u3", "pw"), ("u0", "pw")) == [True, True]
    assert len(computed) == 5


def test_an_unknown_user_takes_as_long_as_a_known_one(computed: list[bytes]) -> None:
    """A hash of the cost of one of the users' is computed, for a name always the same."""
    users = {b"me": hashed("pw", 4).encode(), b"you": hashed("pw", 5).encode()}
    checker = Passwords()
    strangers = [f"stranger{number}" for number in range(20)]
    assert check(checker, users, *((name, "pw") for name in strangers)) == [False] * 20
    first = [stored[:7] for stored in computed]
    assert set(first) == {b"$2b$04$", b"$2b$05$"}
    assert not set(computed) & set(users.values())
    computed.clear()
    check(checker, users, *((name, "no") for name in strangers))
    assert [stored[:7] for stored in computed] == first


def test_only_the_first_72_bytes_count_as_everywhere_in_bcrypt() -> None:
    """Longer ones are no error."""
    long = "x" * 72
    users = {b"me": hashed(long).encode()}
    tries = [("me", long), ("me", long + "y"), ("me", long[:-1])]
    assert check(Passwords(), users, *tries) == [True, True, False]


def test_credentials_are_bytes_and_split_at_the_first_colon() -> None:
    """RFC 7617."""
    assert credentials([basic("me", "a:b:").encode()]) == (b"me", b"a:b:")
    assert credentials([b"Basic bWU6/w=="]) == (b"me", b"\xff")
    assert credentials([]) is None


class Work:
    """Work that goes on until it is let go, and says who did it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.go = threading.Semaphore(0)

    def of(self, name: str) -> Callable[[], str]:
        """A piece of it."""

        def work() -> str:
            self.go.acquire()
            self.done.append(name)
            return name

        return work


def test_clients_take_turns() -> None:
    """Whoever has asked for much waits for those who ask for little."""
    work = Work()

    async def run() -> None:
        turns = Turns(1, 100, 60.0)
        names = [*(f"flood-{number}" for number in range(20)), "a-1", "b-1", "a-2"]
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(turns.run(name.partition("-")[0], work.of(name))))
            await asyncio.sleep(0)
        work.go.release(len(names))
        assert await asyncio.gather(*tasks) == names
        turns.close()

    asyncio.run(run())
    assert work.done[:6] == ["flood-0", "flood-1", "a-1", "b-1", "flood-2", "a-2"]


def test_where_too_many_wait_the_last_of_whoever_has_most_gives_way() -> None:
    """Not the one who comes for the first time."""
    work = Work()

    async def run() -> None:
        turns = Turns(1, 4, 60.0)
        flood = []
        for number in range(10):
            flood.append(asyncio.create_task(turns.run("flood", work.of(f"flood-{number}"))))
            await asyncio.sleep(0)
        other = asyncio.create_task(turns.run("other", work.of("other")))
        await asyncio.sleep(0)
        work.go.release(10)
        results = await asyncio.gather(*flood, return_exceptions=True)
        assert await other == "other"
        assert [isinstance(result, Busy) for result in results] == [False] * 4 + [True] * 6
        assert await turns.run("flood", work.of("again")) == "again"
        turns.close()

    asyncio.run(run())
    assert work.done[1:3] == ["flood-1", "other"]


def test_who_waits_too_long_or_goes_away_leaves_its_place_to_others() -> None:
    """Nothing is lost by it."""
    work = Work()

    async def run() -> None:
        turns = Turns(1, 10, 0.05)
        first = asyncio.create_task(turns.run("a", work.of("first")))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await turns.run("b", work.of("late"))
        gone = asyncio.create_task(turns.run("c", work.of("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        work.go.release(2)
        assert await first == "first"
        assert await turns.run("d", work.of("next")) == "next"
        turns.close()

    asyncio.run(run())
    assert work.done == ["first", "next"]


def test_wrong_passwords_at_once_keep_no_known_scrape_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While not one of them is answered, scrapes are; too many are told to come again."""
    users = f"basic_auth_users: {{me: '{hashed('pw')}'}}"
    release = threading.Event()
    with served(tmp_path, users) as running:
        assert ask(running.port, Authorization=basic("me", "pw"))[0] == 200
        real: Callable[[bytes, bytes], bool] = bcrypt.checkpw

        def slow(password: bytes, stored: bytes) -> bool:
            release.wait(60)
            return real(password, stored)

        monkeypatch.setattr(bcrypt, "checkpw", slow)
        statuses: list[int] = []

        def guess(number: int) -> None:
            wrong = basic("me", f"guess {number}")
            statuses.append(ask(running.port, Authorization=wrong)[0])

        guesses = [threading.Thread(target=guess, args=(number,)) for number in range(60)]
        for each in guesses:
            each.start()
        for _ in range(20):
            assert ask(running.port, Authorization=basic("me", "pw"))[0] == 200
        assert 401 not in statuses
        assert sum("web-password" in each.name for each in threading.enumerate()) == 1
        release.set()
        for each in guesses:
            each.join()
    assert set(statuses) == {401, 503}
    assert statuses.count(401) == 1 + passwords.WAITING
