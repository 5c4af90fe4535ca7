"""`unitcost demo`: a real model server and a real training loop, measured and priced live."""
