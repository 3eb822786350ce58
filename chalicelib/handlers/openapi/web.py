"""The page's document; its other files are no part of the API."""

from __future__ import annotations

from .schemas import TEXT, Schema, problem_responses, query_parameter, text_response


def paths() -> Schema:
    """Return the path items of this blueprint."""
    document: Schema = {
        "summary": "The page.",
        "operationId": "page",
        "parameters": [query_parameter("login", "fills the login in", TEXT)],
        "responses": {"200": text_response("The page.", "text/html"), **problem_responses()},
    }
    return {"/": {"get": document}}
