"""Each outgoing call of each use case fails once, and the invariants must hold afterwards."""
