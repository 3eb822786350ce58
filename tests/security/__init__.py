"""Attacks on the service through its doors, each with the line of defence that holds it off."""
