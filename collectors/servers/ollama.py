"""Ollama (no release until late 2026 has a metrics page; pull requests for one were not merged)."""

from unitcost.collectors.tables import ServerTable

SERVER = ServerTable(
    name="ollama",
    processes=("ollama",),
    ports=(11434,),
    advice=(
        "Ollama has no metrics page: put LiteLLM in front of it and name its endpoint "
        "(server: litellm), or llama-server in its place"
    ),
)
