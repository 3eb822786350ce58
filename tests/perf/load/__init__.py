"""Many people at once over several processes of the service, with a check that nothing is lost."""
