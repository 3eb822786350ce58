"""WeChat's platform and its people, played on one machine."""

from .simulator import SimulatedWeChat

__all__ = ["SimulatedWeChat"]
