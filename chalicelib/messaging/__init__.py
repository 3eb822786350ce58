"""Messages to other programs: the queue of the yearly reset, and the operators' topic."""
