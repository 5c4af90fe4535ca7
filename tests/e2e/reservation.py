"""What a reservation costs an hour, by arithmetic alone.

The whole price is put on memory: of that a workload holds what it reserved, to the byte, however
busy this machine is. (Of the CPU it holds less when others use what it does not.)
"""

from decimal import Decimal

USD_PER_HOUR = Decimal("98.32")
GIB = Decimal(2)
RESERVE = {"cpu": 1, "memory_gib": str(GIB)}
PRICE = {"usd_per_hour": str(USD_PER_HOUR), "split": {"usd_per_core_hour": 0}}


def known_rate() -> Decimal:
    """USD an hour for `RESERVE` on this host at `PRICE`."""
    with open("/proc/meminfo", encoding="ascii") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("MemTotal"))
    return USD_PER_HOUR * GIB / (Decimal(kib) / 2**20)
