"""A plugin for unitcost: Acme's batch engine and Acme's model server."""
