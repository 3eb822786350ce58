"""The service driven at random against a small model of its rules."""
