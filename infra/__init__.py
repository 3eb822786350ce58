"""Around the service: deployment, local stack, operators' commands."""
