"""What takes a secret key: tokens and cookies, password hashes, proofs of work."""
