"""Hugging Face's `transformers serve` (5.19 run: `/metrics` is not found)."""

from unitcost.collectors.tables import ServerTable

SERVER = ServerTable(
    name="transformers_serve",
    processes=("transformers serve", "transformers-cli serve"),
    ports=(8000,),
    advice=(
        "transformers serve has no metrics page: put LiteLLM in front of it and name its "
        "endpoint (server: litellm)"
    ),
)
