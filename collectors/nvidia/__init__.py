"""What the NVML collector is made of. `unitcost.collectors.nvml` is the way in."""
