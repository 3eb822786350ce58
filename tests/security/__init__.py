"""Attacks on the service, each with the lines of code that prevent it."""
