"""grafanalib's classes, which type checkers cannot see into: their attributes are made at run time.

`Panel`, `Board` and `Variable` are names for what its constructors make.
"""

from typing import Any, TypeAlias

from grafanalib import core

grafana: Any = core

Panel: TypeAlias = Any
Board: TypeAlias = Any
Variable: TypeAlias = Any
