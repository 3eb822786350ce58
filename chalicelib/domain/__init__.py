"""Domain rules: no I/O, no clock, no framework, only the standard library."""
