"""A simulated WeChat platform with its users."""

from .simulator import SimulatedWeChat

__all__ = ["SimulatedWeChat"]
