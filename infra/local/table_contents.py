"""The contents of DynamoDB tables, read once and written back later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

Item = dict[str, Any]

_BATCH = 25
"""The limit of BatchWriteItem."""


class TableContents:
    """The items of some tables at the time of `save`."""

    def __init__(self, client: Any, names: Sequence[str]) -> None:
        """`client` is a DynamoDB client."""
        self._client = client
        self._keys = {name: self._key_names(name) for name in names}
        self._saved: dict[str, dict[str, Item]] = {}

    def save(self) -> None:
        """Read every item."""
        self._saved = {name: self._items(name) for name in self._keys}

    def restore(self) -> None:
        """Write the saved items back and delete every other one."""
        for name, saved in self._saved.items():
            found = self._items(name)
            requests = [
                {"DeleteRequest": {"Key": self._key(name, item)}}
                for key, item in found.items()
                if key not in saved
            ]
            requests += [
                {"PutRequest": {"Item": item}}
                for key, item in saved.items()
                if found.get(key) != item
            ]
            self._write(name, requests)

    def _key_names(self, name: str) -> list[str]:
        schema = self._client.describe_table(TableName=name)["Table"]["KeySchema"]
        return [element["AttributeName"] for element in schema]

    def _key(self, name: str, item: Item) -> Item:
        return {attribute: item[attribute] for attribute in self._keys[name]}

    def _items(self, name: str) -> dict[str, Item]:
        pages = self._client.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
        return {
            json.dumps(self._key(name, item), sort_keys=True): item
            for page in pages
            for item in page["Items"]
        }

    def _write(self, name: str, requests: Sequence[Item]) -> None:
        for batch in _batches(requests):
            left = {name: batch}
            while left:
                left = self._client.batch_write_item(RequestItems=left)["UnprocessedItems"]


def _batches(requests: Sequence[Item]) -> Iterator[list[Item]]:
    remaining = iter(requests)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
