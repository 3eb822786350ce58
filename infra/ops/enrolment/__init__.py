"""Enrolment of firms from a directory file."""
