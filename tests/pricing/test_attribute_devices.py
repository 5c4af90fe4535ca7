"""Whose process is whose where nobody claims it: by container, and by the accelerator it holds."""

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.attribute import Attribution, Claim, Rule, RuleMatcher, attribute
from unitcost.pricing.sample import Process
from unitcost.pricing.workload import SYSTEM, Account

SYS = Account(SYSTEM)
POD, OTHER_POD = Account("n/Deployment/web"), Account("n/Job/batch")
GPU_USER = Account("finetune.py")
RUN = Account("train", run="r1")
SERVE = Account("serve")


def process(pid: int, parent: int = 1, command: str = "", devices: str = "") -> Process:
    """A process; as old as all others."""
    return Process(pid, 10, parent, 0, 0, 0, command, "ada", "", devices)


INIT = process(1, 0, "/sbin/init")


def attributed(
    *processes: Process,
    contained: dict[int, Account] | None = None,
    devices: dict[int, Account] | None = None,
    claims: tuple[Claim, ...] = (),
    rules: tuple[Rule, ...] = (),
) -> Attribution:
    """All that is said of init and these processes."""
    return attribute(
        (INIT, *processes),
        (),
        claims,
        RuleMatcher(rules),
        {f"{pid}@10": account for pid, account in (contained or {}).items()},
        {f"{pid}@10": account for pid, account in (devices or {}).items()},
    )


def accounts(found: Attribution) -> dict[int, Account]:
    """By pid, of those that are not the system's."""
    return {int(i.split("@")[0]): a for i, a in found.account_of.items() if a != SYS}


def test_a_process_that_nobody_claims_is_its_container_s() -> None:
    """The topmost ones of a container hold it; the runtime above is the system's."""
    found = attributed(
        process(4, command="containerd-shim"),
        process(5, 4),
        process(6, 5),
        process(7, 4),
        contained={5: POD, 6: POD, 7: OTHER_POD},
    )
    assert accounts(found) == {5: POD, 6: POD, 7: OTHER_POD}
    assert found.holders == {POD: {"5@10"}, OTHER_POD: {"7@10"}}


def test_a_container_in_a_container_s_process_is_its_own() -> None:
    """One that was started from inside of another; what is in none follows its parent."""
    found = attributed(process(5), process(6, 5), process(7, 6), contained={5: POD, 6: OTHER_POD})
    assert accounts(found) == {5: POD, 6: OTHER_POD, 7: OTHER_POD}


def test_every_claim_is_stronger_than_the_container() -> None:
    """Its state, or a rule; and so is the claim of an ancestor, inside or outside."""
    train = Rule(SERVE, command="serve")
    found = attributed(
        process(5),
        process(6, 5),
        process(7, 6),
        process(8, command="serve"),
        process(9, 8),
        contained=dict.fromkeys((5, 6, 7, 8, 9), POD),
        claims=(Claim(RUN, pid=6, started=10),),
        rules=(train,),
    )
    assert accounts(found) == {5: POD, 6: RUN, 7: RUN, 8: SERVE, 9: SERVE}
    assert found.holders == {POD: {"5@10"}, RUN: {"6@10"}, SERVE: {"8@10"}}


def test_a_claim_for_the_container_s_own_account_changes_nothing() -> None:
    """Its topmost process stays the one that holds it."""
    found = attributed(
        process(5),
        process(6, 5),
        process(7, 6),
        contained={5: POD, 7: OTHER_POD},
        claims=(Claim(POD, pid=6, started=10),),
    )
    assert accounts(found) == {5: POD, 6: POD, 7: POD}
    assert found.holders == {POD: {"5@10"}}


def test_a_process_that_holds_an_accelerator_is_a_workload_with_all_below_it() -> None:
    """Those above are the system's as before."""
    found = attributed(process(4), process(5, 4), process(6, 5), devices={5: GPU_USER})
    assert accounts(found) == {5: GPU_USER, 6: GPU_USER}
    assert found.holders == {GPU_USER: {"5@10"}}


def test_of_several_that_hold_one_below_the_other_the_topmost_names_it() -> None:
    """Workers that a launcher forked are its own, whatever they are called."""
    found = attributed(process(5), process(6, 5), devices={5: GPU_USER, 6: Account("worker")})
    assert accounts(found) == {5: GPU_USER, 6: GPU_USER}
    siblings = attributed(process(5), process(6), devices={5: GPU_USER, 6: GPU_USER})
    assert siblings.holders == {GPU_USER: {"5@10", "6@10"}}


def test_an_accelerator_is_the_weakest_reason_of_all() -> None:
    """A claim, an ancestor's claim, the container and an ancestor's container come first."""
    found = attributed(
        process(4),
        process(5, 4),
        process(6),
        process(7, 6),
        devices=dict.fromkeys((4, 5, 6, 7), GPU_USER),
        contained={6: POD},
        claims=(Claim(RUN, pid=4, started=10),),
    )
    assert accounts(found) == {4: RUN, 5: RUN, 6: POD, 7: POD}
    assert GPU_USER not in found.holders


def test_below_a_device_s_process_a_container_is_still_its_own() -> None:
    """As of one that starts containers."""
    found = attributed(process(5), process(6, 5), devices={5: GPU_USER}, contained={6: POD})
    assert accounts(found) == {5: GPU_USER, 6: POD}


def test_a_rule_can_go_by_the_devices_that_a_process_may_see() -> None:
    """Compared as a whole, with the other conditions; unset is no value."""
    rules = (
        Rule(SERVE, visible_devices="0,1"),
        Rule(RUN, command="train", visible_devices="2"),
    )
    found = attributed(
        process(5, devices="0,1"),
        process(6, devices="0"),
        process(7, command="train", devices="2"),
        process(8, command="eval", devices="2"),
        process(9, command="train"),
        rules=rules,
    )
    assert accounts(found) == {5: SERVE, 7: RUN}


def test_what_rules_matched_is_remembered_by_devices_too() -> None:
    """Two processes of one command line that see different devices."""
    matcher = RuleMatcher((Rule(SERVE, visible_devices="0"), Rule(RUN, visible_devices="1")))
    for _ in range(2):
        found = [matcher.match(process(5, command="x", devices=n), frozenset()) for n in "01"]
        assert found == [SERVE, RUN]


PIDS = st.integers(2, 8)
TABLES = st.dictionaries(PIDS, st.integers(0, 8), max_size=7)
NAMED = st.dictionaries(PIDS, st.sampled_from([POD, OTHER_POD, GPU_USER]), max_size=5)
CLAIMS = st.lists(st.builds(Claim, st.sampled_from([RUN, POD]), PIDS, st.just(10)), max_size=3)


@given(TABLES, NAMED, NAMED, CLAIMS)
def test_in_any_table_containers_and_devices_only_fill_what_claims_leave(
    table: dict[int, int],
    contained: dict[int, Account],
    devices: dict[int, Account],
    claims: list[Claim],
) -> None:
    """A process claimed without them keeps its account; one in a container is never nobody's."""
    processes = [process(pid, parent) for pid, parent in table.items()]
    claimed = attributed(*processes, claims=tuple(claims))
    found = attributed(*processes, contained=contained, devices=devices, claims=tuple(claims))
    assert found.account_of.keys() == claimed.account_of.keys()
    for identity, account in claimed.account_of.items():
        pid = int(identity.split("@")[0])
        if account != SYS:
            assert found.account_of[identity] == account
        elif pid in contained:
            assert found.account_of[identity] == contained[pid]
        elif pid in devices:
            assert found.account_of[identity] != SYS
    assert set(found.holders) == set(found.account_of.values()) - {SYS}
    for account, identities in found.holders.items():
        assert {found.account_of[identity] for identity in identities} == {account}
