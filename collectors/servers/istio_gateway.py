"""An Istio gateway (documentation, not run): requests it sent on, by where they went.

It is the source of all it counts. Its page looks like a sidecar's, so it has no marker: name it,
`server: istio_gateway`.
"""

from unitcost.collectors.servers.istio import istio_table

SERVER = istio_table("istio_gateway", (), "source")
