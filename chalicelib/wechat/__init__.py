"""WeChat: its message protocol, pure, and the one client of its platform."""
