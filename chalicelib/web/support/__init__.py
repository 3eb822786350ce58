"""The support desk's page: HTML, CSS, ES modules, and their names for caching."""
