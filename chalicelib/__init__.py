"""Password recovery for the login accounts of accounting firms."""
