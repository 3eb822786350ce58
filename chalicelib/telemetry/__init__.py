"""Log lines and metrics, with every secret masked."""
