"""A report as Apache Parquet, for pandas, Spark, DuckDB: the extra `report`, loaded only here."""

from io import BytesIO
from typing import Any

import pandas as pd
import pyarrow as pa

from unitcost.exporter.report.build import Report
from unitcost.exporter.report.formats import cells, columns

DIGITS, AFTER_POINT = 38, 12
"""Money and units: decimal128 with twelve digits after the point, dollars and not their parts."""


def parquet_bytes(report: Report) -> bytes:
    """The file. Text columns are strings, all others decimal128(38, 12); null where unknown."""
    names = columns(report)
    table = [list(cells(row)) for row in report.rows]
    frame = pd.DataFrame(table, columns=list(names), dtype=object)
    texts = len(report.question.by) + 2
    decimal = pa.decimal128(DIGITS, AFTER_POINT)
    fields = [(name, pa.string() if at < texts else decimal) for at, name in enumerate(names)]
    out = BytesIO()
    schema: Any = pa.schema(fields)
    frame.to_parquet(out, engine="pyarrow", schema=schema, index=False)
    return out.getvalue()
