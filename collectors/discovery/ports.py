"""Ports of services that are no inference servers."""

NOT_HTTP = frozenset(
    {21, 22, 23, 25, 53, 110, 111, 139, 143, 389, 445, 465, 514, 587, 631, 636, 873, 993, 995}
    | {1433, 1521, 2049, 2181, 2379, 2380, 3306, 3389, 5432, 5672, 5900, 6379, 6443, 9042, 9092}
    | {10248, 10249, 10250, 10256, 10257, 10259, 11211, 27017}
)
"""Ports of other well-known services, and of Kubernetes' own: no stranger's is asked there."""
KUBELET = frozenset({10248, 10250})
"""Where they are listened on it is a node's network that a pod shares, and no pod's own."""
