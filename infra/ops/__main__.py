"""`python -m infra.ops`."""

from __future__ import annotations

import sys

# Each of these modules adds its commands to the group.
from . import accounts, closing, desk, importing, restore, wechat_menu, yearly_reset
from .command import main

__all__ = [
    "accounts",
    "closing",
    "desk",
    "importing",
    "main",
    "restore",
    "wechat_menu",
    "yearly_reset",
]

if __name__ == "__main__":
    sys.exit(main())
