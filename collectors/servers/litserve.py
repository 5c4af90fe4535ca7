"""LitServe (0.2.19 run: no metrics of its own, only a place to mount some)."""

from unitcost.collectors.tables import ServerTable

SERVER = ServerTable(
    name="litserve",
    processes=("litserve",),
    ports=(8000,),
    advice=(
        "LitServe has no metrics page of its own: put HAProxy (server: haproxy) or LiteLLM "
        "(server: litellm) in front of it, or mount a page with its Logger and describe that "
        "under servers:"
    ),
)
