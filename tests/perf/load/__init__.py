"""Many people at once over several processes of the service: nothing may get lost."""
