"""Attacks on the service as a whole, with the requests and CPU seconds that each costs."""
