"""The demo's model server, with an engine that takes a known time for each token.

``drifting_server.py PORTFILE`` writes there on which port it listens. It becomes slower, or some of
its requests fail, when it is told to by a POST of ``{"slower": 2, "failing": 0.4}`` to /control.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from unitcost.exporter.demo.engine import Engine, Prompt
from unitcost.exporter.demo.server import BadRequest, Handler, ModelServer
from unitcost.exporter.demo.transformer import Shape

PREFILL, DECODE = 0.00002, 0.0004
"""Seconds for a token of a prompt and of an answer.

They are waited for, and counted without what the host adds when it is busy with other things: as an
accelerator's time, which is not changed by that.
"""


class PacedEngine(Engine):
    """Takes its time. `slower`: how many times of it; `failing`: that part of requests fails."""

    def __init__(self) -> None:
        """Begin as fast as it is meant to be."""
        super().__init__(Shape())
        self.slower, self.failing = 1.0, 0.0
        self._owed = 0.0

    def complete(self, prompt: Prompt, has_left: Callable[[], bool]) -> bytes:
        """An answer of as many tokens as were asked for. One that fails has cost as much."""
        prefill = len(prompt.text) * PREFILL * self.slower
        decode = prompt.limit * DECODE * self.slower
        time.sleep(prefill + decode)
        counters = self.counters
        counters.prefill_seconds.inc(prefill)
        counters.decode_seconds.inc(decode)
        counters.prompt_tokens.inc(len(prompt.text))
        counters.generated_tokens.inc(prompt.limit)
        self._owed += self.failing
        if self._owed >= 1:
            self._owed -= 1
            raise BadRequest("it was told to fail")
        return b"x" * prompt.limit


class ToldHandler(Handler):
    """Serves what the demo's server does, and /control."""

    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Change what the engine does, or let it complete."""
        if self.path != "/control":
            super().do_POST()
            return
        engine = cast(PacedEngine, self.engine)
        told = json.loads(self._body())
        engine.slower = told.get("slower", engine.slower)
        engine.failing = told.get("failing", engine.failing)
        self._reply(200, {"slower": engine.slower, "failing": engine.failing})


def main() -> int:
    """Serve until ended."""
    server = ModelServer(0, PacedEngine())
    server.RequestHandlerClass = ToldHandler
    Path(sys.argv[1]).write_text(str(server.port))
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
