"""What the service does for people, one story a file."""
