"""The support desk: what the people behind the telephone see and do."""
