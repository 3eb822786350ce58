"""The page: HTML, CSS and ES modules as they are served, and the names that they are served by."""
