"""What this host is: asked of the cloud's metadata service, of the cluster, one file each."""
