"""Ray Serve LLM (names of Ray 2.60 and vLLM read, not run): vLLM's metrics on Ray's page.

Ray writes `ray_vllm_` where vLLM writes `vllm:`, older versions `ray_vllm:`, and adds labels that
say which replica and process it was. The engine's count is taken, not the proxies' of the same
requests. Ray's page has no start time.
"""

import msgspec

from unitcost.collectors.servers import vllm
from unitcost.collectors.tables import ServerTable, renamed


def _table() -> ServerTable:
    engine = msgspec.structs.replace(vllm.SERVER, start_time_seconds=())
    new, old = (renamed(engine, "vllm:", prefix) for prefix in ("ray_vllm_", "ray_vllm:"))
    fields = {name: getattr(new, name) + getattr(old, name) for name in engine.fields()}
    return msgspec.structs.replace(
        new,
        **fields,
        name="ray_serve_llm",
        marker=("ray_vllm_", "ray_vllm:"),
        yields_to=(),
        processes=("ray/dashboard/agent.py",),
        ports=(8080,),
        part_labels=("ReplicaId", "WorkerId", "engine"),
    )


SERVER = _table()
