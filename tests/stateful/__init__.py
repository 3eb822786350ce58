"""A state machine that drives the service at random and compares it with a model of its rules."""
