"""The private attributes that the service, its local stack and its packaging reach into, and their versions.

Where a version differs, check each use again (chalicelib/store/pynamodb_internals.py, for moto
infra/local/moto_expressions.py and moto_transactions.py, and what is named here), then the bound in
pyproject.toml and the version below.
"""

from __future__ import annotations

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from pynamodb.connection import Connection
from pynamodb.exceptions import VerboseClientError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.store.ephemeral_models import CodeItem
from chalicelib.store.models import bind
from chalicelib.store.pynamodb_internals import connection_of, hash_key

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("pynamodb", "6.1"),
        ("botocore", "1.44"),
        ("chalice", "1.34"),
        ("altcha", "2.3"),
        ("moto", "5.2"),
    ],
)
def test_the_installed_version_is_the_one_that_was_checked(name: str, checked: str) -> None:
    """Of altcha nothing private is used, and of chalice its packager's PipRunner._execute alone
    (infra/deploy/package.py); their behaviour is relied on as it was checked.
    """
    assert ".".join(version(name).split(".")[:2]) == checked


@pytest.mark.parametrize("name", ["pynamodb", "botocore", "boto3", "chalice", "altcha", "moto"])
def test_each_of_them_has_an_upper_bound(name: str) -> None:
    """A new major or minor version is then a decision."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["infra"],
    ]
    found = {Requirement(line).name: Requirement(line) for line in listed}
    operators = {bound.operator for bound in found[name].specifier}
    assert operators == {">=", "<"}
    assert version(name) in found[name].specifier


def test_pynamodb_has_the_used_attributes() -> None:
    """Model._hash_keyname, _connection, _get_connection; Connection._tables, _client, client;
    TransactWrite._update_items, _condition_check_items, _delete_items, _put_items, _commit.
    """
    bind("recovery")
    assert CodeItem._hash_keyname == hash_key(CodeItem) == "id"
    assert callable(Model._get_connection)
    assert CodeItem._connection is CodeItem._get_connection()
    connection = connection_of(CodeItem)
    assert connection._tables["recovery-ephemera"].hash_keyname == "id"
    assert connection._client is connection.client
    assert isinstance(inspect.getattr_static(Connection, "client"), property)
    assert isinstance(inspect.getattr_static(Connection, "session"), property)
    transaction = TransactWrite(connection=connection)
    assert transaction._update_items == transaction._condition_check_items == []
    assert transaction._delete_items == transaction._put_items == []
    assert callable(transaction._commit)


def test_pynamodb_chains_botocores_exception() -> None:
    """VerboseClientError leaves out the item and the metadata; its `__cause__` is botocore's own."""
    source = inspect.getsource(Connection._make_api_call)
    assert "except ClientError as e" in source
    assert source.rstrip().endswith("from e")
    assert VerboseClientError.__name__ in source


def test_botocore_emits_the_events_that_check_responses() -> None:
    """`before-parse` with a dictionary that is merged into the response, and `after-call`."""
    from botocore.client import BaseClient
    from botocore.endpoint import Endpoint

    parsing = inspect.getsource(inspect.getattr_static(Endpoint, "_do_get_response"))
    assert "before-parse" in parsing
    assert "parsed_response.update(customized_response_dict)" in parsing
    calling = inspect.getsource(inspect.getattr_static(BaseClient, "_make_api_call"))
    assert "after-call." in calling
    assert "http_response=http" in calling
    assert "parsed=parsed_response" in calling
