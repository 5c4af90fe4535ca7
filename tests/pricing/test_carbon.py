"""Carbon: energy x intensity, to the last microgram, whatever the intensity was when."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.carbon import (
    DENOMINATOR,
    MICROGRAMS,
    MICROJOULES_PER_KWH,
    GridIntensity,
    emitted,
)

D = Decimal
KWH = MICROJOULES_PER_KWH


def grid(grams: str, pue: str = "1") -> GridIntensity:
    """A grid of so many grams, behind a building of that PUE."""
    return GridIntensity(D(grams), "test", pue=D(pue))


def test_a_kilowatt_hour_emits_what_the_grid_says() -> None:
    """412 g, by two workloads that used three quarters and one."""
    parts, left = emitted({"a": KWH * 3 // 4, "b": KWH // 4}, grid("412").picograms_per_kwh)
    assert parts == {"a": 309 * MICROGRAMS, "b": 103 * MICROGRAMS}
    assert left == 0


def test_a_kilowatt_hour_is_three_point_six_megajoules() -> None:
    """In microjoules; one of them at one picogram for a kWh is the smallest thing there is."""
    assert KWH == 3_600_000_000_000
    assert emitted({"a": 1}, 1) == ({"a": 0}, 1)
    assert emitted({"a": 1}, 1, DENOMINATOR - 1) == ({"a": 1}, 0)


def test_the_building_s_losses_emit_too() -> None:
    """PUE multiplies once, and exactly; the product is rounded to a picogram."""
    assert grid("400", "1.25").picograms_per_kwh == 500 * 10**12
    assert grid("0.000000000001", "1.5").picograms_per_kwh == 2
    assert grid("0.000000000003", "1.5").picograms_per_kwh == 4
    # 28 digits, which is where a decimal context ends by default, would lose the last ones.
    exact = D("4999.123456789012") * 10
    assert grid("4999.123456789012", "10").picograms_per_kwh == exact * 10**12
    long = grid("4999.999999999999", "9.999999999999")
    assert long.picograms_per_kwh == 49_999_999_999_994_990


def test_a_grid_without_carbon_emits_a_measured_nothing() -> None:
    """0, not absent: the energy is known and so is the intensity."""
    assert emitted({"a": KWH}, grid("0").picograms_per_kwh) == ({"a": 0}, 0)


def test_energy_of_nobody_emits_nothing() -> None:
    """What is carried stays."""
    assert emitted({}, 10**15, 7) == ({}, 7)
    assert emitted({"a": 0}, 10**15, 7) == ({"a": 0}, 7)


def test_what_says_it_is_kept() -> None:
    """Place and year come from a table, or not at all."""
    table = GridIntensity(D("44.18"), "Ember", "FR", 2024)
    assert (table.country, table.year, table.source, table.pue) == ("FR", 2024, "Ember", D(1))
    assert (grid("1").country, grid("1").year) == ("", None)


@pytest.mark.parametrize("grams", ["-0.1", "NaN", "Infinity"])
def test_what_is_no_intensity_is_refused(grams: str) -> None:
    """A grid that swallows carbon would pay for everything else."""
    with pytest.raises(ValueError, match="not grams for a kWh"):
        grid(grams)


@pytest.mark.parametrize("pue", ["0.99", "-1", "NaN", "Infinity"])
def test_what_is_no_pue_is_refused(pue: str) -> None:
    """No building uses less than what is in it."""
    with pytest.raises(ValueError, match="not a PUE"):
        grid("400", pue)


def test_negative_energy_is_refused() -> None:
    """It would be a credit."""
    with pytest.raises(ValueError, match="negative"):
        emitted({"a": 5, "b": -1}, 10**15)


ENERGIES = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10**12), max_size=4)
FACTORS = st.integers(0, 5 * 10**16)
HISTORIES = st.lists(st.tuples(ENERGIES, FACTORS), max_size=12)


@given(HISTORIES)
def test_all_parts_are_energy_times_intensity(history: list[tuple[dict[str, int], int]]) -> None:
    """Over any history of intensities, to the microgram; nothing is negative or lost."""
    carried, total, exact = 0, 0, Fraction(0)
    for energy, factor in history:
        parts, carried = emitted(energy, factor, carried)
        assert parts.keys() == energy.keys()
        total += sum(parts.values())
        grams = Fraction(sum(energy.values()), KWH) * Fraction(factor, 10**12)
        exact += grams * MICROGRAMS
        assert 0 <= carried < DENOMINATOR
        assert total + Fraction(carried, DENOMINATOR) == exact


@given(ENERGIES, FACTORS, st.integers(0, DENOMINATOR - 1))
def test_each_part_is_its_share_of_the_energy(
    energy: dict[str, int], factor: int, carried: int
) -> None:
    """Within a microgram; who used nothing emitted nothing."""
    parts, _ = emitted(energy, factor, carried)
    whole, used = sum(parts.values()), sum(energy.values())
    for name, micrograms in parts.items():
        assert micrograms >= 0
        assert not used or abs(micrograms - Fraction(whole * energy[name], used)) < 1
        assert energy[name] or not micrograms


@given(HISTORIES, st.integers(0, 12))
def test_a_restart_anywhere_changes_nothing(
    history: list[tuple[dict[str, int], int]], at: int
) -> None:
    """What is carried is all that need be remembered; a tick told twice is not in it twice."""

    def tell(steps: list[tuple[dict[str, int], int]], carried: int) -> tuple[int, int]:
        total = 0
        for energy, factor in steps:
            parts, carried = emitted(energy, factor, carried)
            total += sum(parts.values())
        return total, carried

    before, kept = tell(history[:at], 0)
    tell(history[at:], kept)  # not committed: forgotten
    after, left = tell(history[at:], kept)
    assert (before + after, left) == tell(history, 0)
