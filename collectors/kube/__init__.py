"""Helpers of the collector `kubernetes`: grants of the kubelet, pods of this node, their names."""
