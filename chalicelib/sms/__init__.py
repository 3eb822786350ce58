"""SMS gateways behind one protocol, and the fail-over over them."""
