"""DeepSpeed-MII (source of 2025 read: no metrics anywhere)."""

from unitcost.collectors.tables import ServerTable

SERVER = ServerTable(
    name="deepspeed_mii",
    processes=("mii.entrypoints", "mii.api_server"),
    ports=(28080,),
    advice=(
        "DeepSpeed-MII has no metrics page: put LiteLLM (server: litellm) or HAProxy (server:"
        " haproxy) in front of it and name its endpoint"
    ),
)
