"""The API as an OpenAPI 3.1 document, put together from the schema files."""

from __future__ import annotations

import json
from functools import cache

from ..http.problems import STATUSES
from . import credentials, desk_logins, desk_reviews, freezing, recovery, support, web, wechat
from .schemas import Schema, json_response, problem_responses, problem_schema


@cache
def document() -> Schema:
    """Return the document; tests/api/test_openapi.py compares it with the routes and the answers."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Login recovery",
            "version": "1.0.0",
            "description": "Password recovery for the login accounts of China's accounting firms. "
            "Every error is `application/problem+json` (RFC 9457).",
        },
        "paths": {
            **recovery.paths(),
            **credentials.paths(),
            **wechat.paths(),
            **freezing.paths(),
            **support.paths(),
            **desk_logins.paths(),
            **desk_reviews.paths(),
            **web.paths(),
            "/openapi.json": {"get": _description()},
        },
        "components": {
            "schemas": {kind.code: problem_schema(kind) for kind in STATUSES},
            "securitySchemes": {
                "recovery": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "the `token` of POST /recovery",
                },
                "desk": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-desk",
                    "description": "the session of a member of the support desk's staff",
                },
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4 of a caller with execute-api:Invoke",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
            },
        },
    }


def text() -> str:
    """Return the document as JSON."""
    return json.dumps(document(), ensure_ascii=False)


def _description() -> Schema:
    return {
        "summary": "This description.",
        "operationId": "description",
        "responses": {"200": json_response({"type": "object"}, "It."), **problem_responses()},
    }
