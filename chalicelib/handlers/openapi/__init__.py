"""The API's description: a schema file for each blueprint, and the route that serves the document."""

from .route import blueprint

__all__ = ["blueprint"]
