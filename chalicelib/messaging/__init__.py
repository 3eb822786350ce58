"""What goes to other programs: the reset's queue, and the operators' topic."""
