"""The recovery page: HTML, CSS, ES modules, and their names for caching."""
