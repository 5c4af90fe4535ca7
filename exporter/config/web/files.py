"""Reading the files of a web configuration, and seeing for little whether one has changed."""

import os
import stat

from unitcost.exporter.config.decode import Mistake
from unitcost.exporter.config.yaml_strict import MAX_BYTES, Path

Identity = tuple[int, int, int, int, int]


class Files:
    """Files that were read, and what each was like before: one that changes meanwhile is seen."""

    def __init__(self) -> None:
        self._seen: dict[str, Identity | None] = {}

    def read(self, path: str, key: Path) -> bytes:
        """The content. Raises Mistake at `key` for what is missing, no file, or too large."""
        self._seen[path] = _identity(path)
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise Mistake(key, f"{path} is not a regular file")
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Mistake(key, f"{path} cannot be read: {error.strerror or 'error'}") from None
        if len(data) > MAX_BYTES:
            raise Mistake(key, f"{path} is larger than {MAX_BYTES} bytes")
        return data

    def changed(self) -> bool:
        """Whether one of them is not what it was. Costs a stat for each."""
        return any(_identity(path) != seen for path, seen in self._seen.items())


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
