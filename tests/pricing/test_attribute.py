"""Whose process is whose: claims, rules, descendants, and odd process tables."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.attribute import Attribution, Claim, Rule, RuleMatcher, attribute
from unitcost.pricing.sample import Listener, Process
from unitcost.pricing.workload import SYSTEM, Account

SYS = Account(SYSTEM)
TRAIN = Account("train")
RUN = Account("train", run="r1")
SERVE = Account("serve")
OTHER = Account("other")


def process(
    pid: int,
    command: str = "",
    *,
    parent: int = 1,
    started: int = 10,
    user: str = "ada",
    cgroup: str = "",
) -> Process:
    """A process; only what it is told by."""
    return Process(pid, started, parent, 0, 0, 0, command, user, cgroup)


INIT = process(1, "/sbin/init", parent=0, started=0, user="root")


def accounts(
    *processes: Process,
    claims: tuple[Claim, ...] = (),
    rules: tuple[Rule, ...] = (),
    listeners: tuple[Listener, ...] = (),
) -> dict[int, Account]:
    """The accounts by pid, of those that are not the system's."""
    found = attributed(*processes, claims=claims, rules=rules, listeners=listeners)
    by_pid = {int(identity.split("@")[0]): a for identity, a in found.account_of.items()}
    assert len(by_pid) == len(processes)
    return {pid: account for pid, account in by_pid.items() if account != SYS}


def attributed(
    *processes: Process,
    claims: tuple[Claim, ...] = (),
    rules: tuple[Rule, ...] = (),
    listeners: tuple[Listener, ...] = (),
) -> Attribution:
    """All that is said of these processes."""
    return attribute(processes, listeners, claims, RuleMatcher(rules))


def test_without_claims_and_rules_all_is_the_systems() -> None:
    """And nobody holds anything."""
    found = attributed(INIT, process(5, "python train.py"))
    assert set(found.account_of.values()) == {SYS}
    assert found.holders == {}


def test_a_claim_needs_the_pid_and_its_start() -> None:
    """A reused pid, or one of another container, is not the process that was meant."""
    five = process(5, started=70)
    assert accounts(INIT, five, claims=(Claim(RUN, pid=5, started=70),)) == {5: RUN}
    assert accounts(INIT, five, claims=(Claim(RUN, pid=5, started=69),)) == {}
    assert accounts(INIT, five, claims=(Claim(RUN, pid=5),)) == {}
    assert accounts(INIT, five, claims=(Claim(RUN, pid=6, started=70),)) == {}


def test_a_claim_on_a_port_is_one_on_whoever_listens_there() -> None:
    """All of them, where several share it; a listener that is gone is nobody."""
    found = accounts(
        INIT,
        process(5),
        process(6),
        process(7),
        claims=(Claim(SERVE, port=8000),),
        listeners=(Listener(8000, 5, 10), Listener(8000, 6, 10), Listener(8000, 7, 9)),
    )
    assert found == {5: SERVE, 6: SERVE}


def test_descendants_follow_however_deep() -> None:
    """Ancestors and siblings do not."""
    found = accounts(
        INIT,
        process(4, "bash"),
        process(5, parent=4),
        process(6, parent=5),
        process(7, parent=6),
        process(8, parent=4),
        claims=(Claim(RUN, pid=5, started=10),),
    )
    assert found == {5: RUN, 6: RUN, 7: RUN}


def test_a_process_of_its_own_beats_what_it_inherits() -> None:
    """The nearest claim above counts."""
    found = accounts(
        INIT,
        process(5),
        process(6, parent=5),
        process(7, parent=6),
        process(8, parent=5),
        claims=(Claim(RUN, pid=5, started=10), Claim(SERVE, port=80)),
        listeners=(Listener(80, 6, 10),),
    )
    assert found == {5: RUN, 6: SERVE, 7: SERVE, 8: RUN}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_state_beats_port_and_port_beats_rule(order: tuple[int, ...]) -> None:
    """Whatever the order the claims come in."""
    five = process(5, "python serve.py")
    claims = (Claim(RUN, pid=5, started=10), Claim(SERVE, port=80), Claim(OTHER, port=79))
    shuffled = tuple(claims[n] for n in order)
    rules = (Rule(TRAIN, command="serve"),)
    listeners = (Listener(80, 5, 10),)
    assert accounts(INIT, five, claims=shuffled, rules=rules, listeners=listeners) == {5: RUN}
    ports = tuple(claim for claim in shuffled if claim.pid is None)
    assert accounts(INIT, five, claims=ports, rules=rules, listeners=listeners) == {5: SERVE}
    assert accounts(INIT, five, rules=rules, listeners=listeners) == {5: TRAIN}


def test_of_two_claims_alike_the_first_counts() -> None:
    """Two state files for one process, two endpoints on one port."""
    two = (Claim(RUN, pid=5, started=10), Claim(OTHER, pid=5, started=10))
    assert accounts(INIT, process(5), claims=two) == {5: RUN}
    ports = (Claim(SERVE, port=80), Claim(OTHER, port=80))
    assert accounts(INIT, process(5), claims=ports, listeners=(Listener(80, 5, 10),)) == {5: SERVE}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(TRAIN, command=r"train\.py"), {5}),
        (Rule(TRAIN, command=r"^train"), set()),
        (Rule(TRAIN, user="ada"), {5, 6}),
        (Rule(TRAIN, user="ad"), set()),
        (Rule(TRAIN, cgroup="docker"), {6, 7}),
        (Rule(TRAIN, port=80), {7}),
        (Rule(TRAIN, user="ada", cgroup="docker"), {6}),
        (Rule(TRAIN, cgroup="docker", port=80), {7}),
        (Rule(TRAIN, command="train", port=80), set()),
        (Rule(TRAIN), set()),
    ],
    ids=itertools.count(),
)
def test_all_conditions_of_a_rule_must_hold(rule: Rule, expected: set[int]) -> None:
    """Expressions are searched for, the user is compared; no condition is no match."""
    found = accounts(
        INIT,
        process(5, "python train.py"),
        process(6, "python eval.py", cgroup="/docker/abc"),
        process(7, "python serve.py", user="bob", cgroup="/docker/def"),
        rules=(rule,),
        listeners=(Listener(80, 7, 10),),
    )
    assert set(found) == expected


def test_the_first_rule_that_matches_counts() -> None:
    """Rules are in the order of the configuration."""
    rules = (Rule(SERVE, command="serve"), Rule(TRAIN, user="ada"), Rule(OTHER, command="serve"))
    found = accounts(INIT, process(5, "serve"), process(6, "x"), rules=rules)
    assert found == {5: SERVE, 6: TRAIN}


def test_a_rule_that_is_no_expression_is_refused() -> None:
    """When the matcher is made, not at some later tick."""
    with pytest.raises(re.error):
        RuleMatcher((Rule(TRAIN, command="("),))


def test_workers_with_the_command_line_of_a_training_process_are_its_own() -> None:
    """The rule matches them too, but what the process says about itself is about them all."""
    found = accounts(
        INIT,
        process(4, "torchrun train.py"),
        process(5, "python train.py", parent=4),
        process(6, "python train.py", parent=5),
        process(7, "python train.py", parent=6),
        process(8, "python train.py", parent=4),
        claims=(Claim(RUN, pid=5, started=10),),
        rules=(Rule(TRAIN, command=r"train\.py"),),
    )
    assert found == {4: TRAIN, 5: RUN, 6: RUN, 7: RUN, 8: TRAIN}


def test_ranks_below_a_rank_of_the_same_run_are_one_workload() -> None:
    """Each writes state; the topmost holds, and their workers are the run's as well."""
    found = attributed(
        INIT,
        process(5, "python train.py"),
        process(6, "rank 1", parent=5),
        process(7, "python train.py", parent=6),
        claims=(Claim(RUN, pid=5, started=10), Claim(RUN, pid=6, started=10)),
        rules=(Rule(TRAIN, command="train"),),
    )
    assert found.account_of == {"1@0": SYS, "5@10": RUN, "6@10": RUN, "7@10": RUN}
    assert found.holders == {RUN: frozenset({"5@10"})}


def test_a_worker_of_another_rule_is_the_other_workloads() -> None:
    """A training process that starts a server of its own."""
    found = accounts(
        INIT,
        process(5, "python train.py"),
        process(6, "tensorboard", parent=5),
        process(7, "python train.py", parent=6),
        claims=(Claim(RUN, pid=5, started=10),),
        rules=(Rule(TRAIN, command="train"), Rule(OTHER, command="tensorboard")),
    )
    assert found == {5: RUN, 6: OTHER, 7: TRAIN}


@pytest.mark.parametrize(
    "shell",
    [
        "sh -c python train.py & python report.py",
        "/bin/bash -c python train.py & python report.py",
        "bash -e -o pipefail -c python train.py & python report.py",
        "bash -lc python train.py & python report.py",
    ],
    ids=itertools.count(),
)
def test_a_shell_whose_argument_names_the_workload_is_not_the_workload(shell: str) -> None:
    """Else all that it starts besides would be the workload's."""
    found = attributed(
        INIT,
        process(4, shell),
        process(5, "python train.py", parent=4),
        process(6, "python report.py", parent=4),
        rules=(Rule(TRAIN, command=r"train\.py"),),
    )
    assert found.account_of == {"1@0": SYS, "4@10": SYS, "5@10": TRAIN, "6@10": SYS}
    assert found.holders == {TRAIN: frozenset({"5@10"})}


def test_a_shell_script_is_the_workload_with_all_it_starts() -> None:
    """Its command line is its own. So is that of ``sh -c`` where no descendant matches."""
    rules = (Rule(TRAIN, command=r"train\.sh"),)
    script = (process(4, "bash train.sh"), process(5, "python x.py", parent=4))
    assert accounts(INIT, *script, rules=rules) == {4: TRAIN, 5: TRAIN}
    both = (Rule(TRAIN, command=r"train\.sh"), Rule(OTHER, command="x"))
    assert accounts(INIT, process(4, "sh -c train.sh"), process(5, "x", parent=4), rules=both) == {
        4: TRAIN,
        5: OTHER,
    }
    quoted = (process(4, "sh -c . ./train.sh"), process(5, "python x.py", parent=4))
    assert accounts(INIT, *quoted, rules=rules) == {4: TRAIN, 5: TRAIN}


def test_pid_1_is_the_workload_only_where_nothing_below_it_matches() -> None:
    """An init that quotes the command is not; a container's only process is."""
    rules = (Rule(TRAIN, command=r"train\.py"),)
    init = process(1, "tini -- python train.py", parent=0, started=0)
    below = (process(5, "python train.py"), process(6, "sshd"))
    assert accounts(init, *below, rules=rules) == {5: TRAIN}
    alone = process(1, "python train.py", parent=0, started=0)
    assert accounts(alone, process(6, "worker"), rules=rules) == {1: TRAIN, 6: TRAIN}


def test_holders_are_the_topmost_claimed_processes_of_each_account() -> None:
    """Workers come and go; their parent is whose start and end count."""
    found = attributed(
        INIT,
        process(4, "gunicorn"),
        process(5, "gunicorn", parent=4),
        process(6, "helper", parent=5),
        process(7, "gunicorn"),
        process(8, parent=7),
        process(9, "gunicorn", parent=8),
        claims=(Claim(RUN, pid=8, started=10),),
        rules=(Rule(SERVE, command="gunicorn"),),
    )
    assert found.holders == {SERVE: frozenset({"4@10", "7@10", "9@10"}), RUN: frozenset({"8@10"})}
    assert SYS not in found.holders


def test_a_younger_process_is_nobodys_parent() -> None:
    """The parent ended and its pid was given away between two reads."""
    found = accounts(
        INIT, process(5, started=50), process(6, parent=5, started=40), claims=(Claim(RUN, 5, 50),)
    )
    assert found == {5: RUN}


def test_parents_that_are_missing_or_go_round_in_circles_end_the_search() -> None:
    """Also of a process that names itself."""
    found = accounts(
        process(5, parent=6),
        process(6, parent=7),
        process(7, parent=5),
        process(8, parent=8),
        process(9, parent=1000),
        process(10, parent=7),
        claims=(Claim(RUN, 7, 10), Claim(SERVE, 9, 10)),
        rules=(Rule(OTHER, command="^sh -c "),),
    )
    assert (found[7], found[9], found[10]) == (RUN, SERVE, RUN)
    assert 8 not in found


def test_a_chain_of_twenty_thousand_is_no_burden() -> None:
    """Each link is looked at a few times, not once for each below it."""
    count = 20_000
    chain = [process(pid, "sh -c x", parent=pid - 1, started=pid) for pid in range(2, count)]
    last = process(count, "x", parent=count - 1, started=count)
    rules = (Rule(TRAIN, command="x"),)
    found = accounts(INIT, *reversed(chain), last, rules=rules)
    assert found == {count: TRAIN}
    for order in ((last, *chain), (*chain, last)):
        assert len(accounts(INIT, *order, claims=(Claim(RUN, 2, 2),))) == count - 1


def test_what_rules_matched_is_remembered_and_bounded() -> None:
    """The same answer from memory as at first; no more memories than allowed."""
    matcher = RuleMatcher((Rule(TRAIN, command="train"), Rule(SERVE, port=80)), memory=8)
    none: frozenset[int] = frozenset()
    for number in range(100):
        name = "train" if number % 2 else "other"
        each = process(5, f"{name} {number}")
        expected = TRAIN if number % 2 else None
        assert matcher.match(each, none) == matcher.match(each, none) == expected
        assert len(matcher._known) <= 8
    plain = process(5, "plain")
    assert matcher.match(plain, none) is None
    assert matcher.match(plain, frozenset({80})) == SERVE


PROCESSES = st.lists(
    st.builds(
        process,
        st.integers(1, 9),
        st.sampled_from(["sh -c a", "a", "b", ""]),
        parent=st.integers(0, 9),
        started=st.integers(0, 3),
        user=st.sampled_from(["ada", "bob"]),
    ),
    unique_by=lambda each: each.pid,
)
CLAIMS = st.lists(
    st.builds(
        Claim,
        st.sampled_from([RUN, SERVE]),
        st.one_of(st.none(), st.integers(1, 9)),
        st.one_of(st.none(), st.integers(0, 3)),
        st.one_of(st.none(), st.integers(1, 3)),
    ),
    max_size=4,
)
LISTENERS = st.lists(
    st.builds(Listener, st.integers(1, 3), st.integers(1, 9), st.integers(0, 3)), max_size=4
)
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from([TRAIN, SERVE, OTHER]),
        st.sampled_from([None, "a", "^b", "^sh"]),
        st.sampled_from([None, "ada"]),
        port=st.sampled_from([None, 1]),
    ),
    max_size=3,
)


@given(PROCESSES, LISTENERS, CLAIMS, RULES)
def test_whatever_the_table_every_process_has_one_account_and_every_account_a_holder(
    processes: list[Process],
    listeners: list[Listener],
    claims: list[Claim],
    rules: list[Rule],
) -> None:
    """And holders are of the account they hold."""
    found = attribute(processes, listeners, claims, RuleMatcher(rules))
    assert found.account_of.keys() == {each.identity for each in processes}
    assert set(found.holders) == set(found.account_of.values()) - {SYS}
    for account, identities in found.holders.items():
        assert identities
        assert {found.account_of[identity] for identity in identities} == {account}


def test_launchers_of_many_children_are_walked_once() -> None:
    """Two children of one shell, and one of another account: the shell is taken back once."""
    rule = Rule(TRAIN, "train.py")
    shell = process(2, "sh -c python train.py & python train.py")
    between = process(3, "bash run", parent=2)
    children = [process(pid, "python train.py", parent=3) for pid in (4, 5)]
    other = process(6, "python serve.py", parent=3)
    found = accounts(INIT, shell, between, *children, other, rules=(rule, Rule(SERVE, "serve.py")))
    assert found == {4: TRAIN, 5: TRAIN, 6: SERVE}
