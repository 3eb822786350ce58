"""Pytest plugin: moto is as quick as in the local stack, without which it is two fifths of a recovery's test."""

from __future__ import annotations

from infra.local import moto_expressions, moto_transactions

moto_expressions.install()
moto_transactions.install()
