"""What operators see of a running service: log lines and metrics, with every secret masked."""
