"""WeChat: the protocol of its callbacks, and the client of its platform."""
