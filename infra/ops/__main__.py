"""`python -m infra.ops`."""

from __future__ import annotations

import sys

# Imported for the commands that they add.
from . import accounts, importing, wechat_menu, yearly_reset
from .command import main

__all__ = ["accounts", "importing", "wechat_menu", "yearly_reset"]

if __name__ == "__main__":
    sys.exit(main())
