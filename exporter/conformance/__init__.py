"""Proof that a collector, a server's table or a price source keeps the contract, for authors.

Plain functions that need no test framework, and ``python -m unitcost.exporter.conformance NAME``
for an installed distribution. The exporter's own checks are used, not copies of them.
"""

from unitcost.exporter.conformance.collector import check_collector
from unitcost.exporter.conformance.price_source import check_price_source
from unitcost.exporter.conformance.report import Report, Violation
from unitcost.exporter.conformance.server import check_server

__all__ = ["Report", "Violation", "check_collector", "check_price_source", "check_server"]
