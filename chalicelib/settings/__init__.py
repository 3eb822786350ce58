"""The service's settings: their table, parsers, and sources.

`loader` is not imported here: it requires an AWS client, from a higher layer than the table.
"""

from .parsers import GATEWAYS
from .schema import SETTINGS, Setting, Settings, SettingsError, load
from .secret import Secret

__all__ = ["GATEWAYS", "SETTINGS", "Secret", "Setting", "Settings", "SettingsError", "load"]
