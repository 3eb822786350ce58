"""Each outgoing call of each story fails, one at a time, and what must hold afterwards."""
