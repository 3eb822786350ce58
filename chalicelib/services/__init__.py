"""The use cases of the service, one a file."""
