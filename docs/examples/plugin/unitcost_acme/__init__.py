"""A plugin for unitcost: Acme's batch engine, Acme's model server, Acme's prices."""
