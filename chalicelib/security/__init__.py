"""Cryptography with secret keys: tokens and cookies, password hashes, proofs of work."""
