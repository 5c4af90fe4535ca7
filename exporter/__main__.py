"""``python -m unitcost.exporter`` is ``unitcost``."""

import sys

from unitcost.exporter.cli import main

if __name__ == "__main__":
    sys.exit(main())
