"""The command restore: bring the tables back to a time, under a new prefix, and check them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import click
from botocore.exceptions import ClientError
from rich.console import Console

from chalicelib.domain.catalogue import fill
from infra.deploy.tables import load_template, parameters, resolve

from . import session, words
from .command import Answer, Failed, command, reason_option

BEIJING = timezone(timedelta(hours=8))

LATEST = "latest"

SAMPLE = 200
"""Logins whose password hashes are compared with those of the present tables."""

PAUSE = 15
"""Seconds between two looks at a table that is being restored."""

# A restore of a table takes half an hour, and may take hours for a large one.
_MOST_LOOKS = 4 * 3_600 // PAUSE

_PREFIX = re.compile(r"[a-z][a-z0-9-]{2,40}")


@dataclass(frozen=True)
class Restored:
    """What was restored: items by table, now and restored, and the sample's results."""

    prefix: str
    counts: dict[str, tuple[int, int]]
    sampled: int
    unchanged: int
    wrong: int


@command("restore", words.RESTORE, words.RESTORE_MORE)
@click.option("--to", "at", required=True, metavar="TIME", help=words.RESTORE_TO)
@click.option("--target", metavar="PREFIX", required=True, help=words.RESTORE_TARGET)
@click.option("--region", metavar="REGION", help=words.RESTORE_REGION)
@reason_option
def restore(*, at: str, target: str, region: str | None, reason: str) -> Answer:
    """Restore every durable table, create the table of live codes, and compare."""
    moment = parse_time(at)
    if not _PREFIX.fullmatch(target):
        raise click.UsageError(words.RESTORE_PREFIX_WRONG)
    session.begin_change()
    prefix = session.service().settings.table_prefix
    there = boto3.client("dynamodb", region_name=region)
    restored = Restoration(boto3.client("dynamodb"), there, prefix, target).run(moment)
    facts = {
        "prefix": restored.prefix,
        "reason": reason,
        "counts": {
            name: {"now": now, "restored": then} for name, (now, then) in restored.counts.items()
        },
        "sampled": restored.sampled,
        "unchanged": restored.unchanged,
        "wrong": restored.wrong,
    }
    return Answer(
        facts, lambda console: _show(console, restored, prefix), success=not restored.wrong
    )


def parse_time(text: str) -> datetime | None:
    """Return a time, in Beijing where the text names no zone; None for `latest`.

    Raises UsageError.
    """
    if text == LATEST:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(words.RESTORE_TIME_WRONG) from None
    return at if at.tzinfo else at.replace(tzinfo=BEIJING)


class Restoration:
    """The tables with one prefix, restored by DynamoDB's point-in-time recovery under another."""

    def __init__(
        self,
        here: Any,
        there: Any,
        prefix: str,
        target: str,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Take DynamoDB clients: `here` of the tables' region, `there` of the copies' region."""
        self._here, self._there = here, there
        self._prefix, self._target = prefix, target
        self._sleep = sleep
        self._declared = [
            resolve(resource["Properties"], values)
            for values in (parameters(load_template(), TablePrefix=target),)
            for resource in load_template()["Resources"].values()
            if resource.get("Type") == "AWS::DynamoDB::Table"
        ]

    def run(self, at: datetime | None) -> Restored:
        """Restore, protect and compare the tables. Raises Failed before the first change.

        `at` is the time to return to, None for the latest possible one.
        """
        durable = [each for each in self._declared if "PointInTimeRecoverySpecification" in each]
        for declared in self._declared:
            if self._exists(declared["TableName"]):
                text = fill(words.RESTORE_TARGET_TAKEN, name=declared["TableName"])
                raise Failed("target-taken", text, 2)
        for declared in durable:
            self._check_time(self._source(declared), at)
        for declared in durable:
            self._begin(declared, at)
        for declared in self._declared:
            if declared not in durable:
                self._create(declared)
        for declared in self._declared:
            self._await(declared["TableName"])
            self._protect(declared)
        return self._compared(durable)

    def _source(self, declared: dict[str, Any]) -> str:
        return str(declared["TableName"].replace(self._target, self._prefix, 1))

    def _exists(self, name: str) -> bool:
        try:
            self._there.describe_table(TableName=name)
        except self._there.exceptions.ResourceNotFoundException:
            return False
        return True

    def _check_time(self, source: str, at: datetime | None) -> None:
        described = self._here.describe_continuous_backups(TableName=source)
        recovery = described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        if recovery["PointInTimeRecoveryStatus"] != "ENABLED":
            raise Failed("no-backup", fill(words.RESTORE_NO_BACKUP, name=source), 2)
        earliest = recovery.get("EarliestRestorableDateTime")
        latest = recovery.get("LatestRestorableDateTime")
        if at is None or earliest is None or latest is None or earliest <= at <= latest:
            return
        span = {
            name: moment.astimezone(BEIJING).isoformat(" ", "minutes")
            for name, moment in (("earliest", earliest), ("latest", latest))
        }
        raise Failed("time", fill(words.RESTORE_OUT_OF_SPAN, name=source, **span), 2)

    def _begin(self, declared: dict[str, Any], at: datetime | None) -> None:
        source = self._source(declared)
        if self._here.meta.region_name == self._there.meta.region_name:
            which = {"SourceTableName": source}
        else:
            table = self._here.describe_table(TableName=source)["Table"]
            which = {"SourceTableArn": table["TableArn"]}
        when = {"UseLatestRestorableTime": True} if at is None else {"RestoreDateTime": at}
        self._there.restore_table_to_point_in_time(
            **which,
            **when,
            TargetTableName=declared["TableName"],
            BillingModeOverride=declared["BillingMode"],
            SSESpecificationOverride=_encryption(declared),
        )

    def _create(self, declared: dict[str, Any]) -> None:
        keys = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")
        self._there.create_table(
            **{key: declared[key] for key in keys}, SSESpecification=_encryption(declared)
        )

    def _await(self, name: str) -> None:
        for _ in range(_MOST_LOOKS):
            table = self._there.describe_table(TableName=name)["Table"]
            if table["TableStatus"] == "ACTIVE":
                return
            self._sleep(PAUSE)
        raise Failed("not-restored", fill(words.RESTORE_STALLED, name=name))

    def _protect(self, declared: dict[str, Any]) -> None:
        """Turn on what a restore does not copy: expiry, continuous backups, protection."""
        name = declared["TableName"]
        if "TimeToLiveSpecification" in declared:
            self._there.update_time_to_live(
                TableName=name, TimeToLiveSpecification=declared["TimeToLiveSpecification"]
            )
        if "PointInTimeRecoverySpecification" not in declared:
            return
        for look in range(_MOST_LOOKS):
            try:
                self._there.update_continuous_backups(
                    TableName=name,
                    PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
                )
                break
            except ClientError as error:
                # A table that has just become active may not have its backups yet.
                code = error.response["Error"]["Code"]
                if code != "ContinuousBackupsUnavailableException" or look == _MOST_LOOKS - 1:
                    raise
                self._sleep(PAUSE)
        self._there.update_table(TableName=name, DeletionProtectionEnabled=True)

    def _compared(self, durable: list[dict[str, Any]]) -> Restored:
        counts = {
            name.removeprefix(f"{self._target}-"): (
                _count(self._here, self._source(declared)),
                _count(self._there, name),
            )
            for declared in durable
            for name in (declared["TableName"],)
        }
        sampled = unchanged = wrong = 0
        items = self._there.scan(TableName=f"{self._target}-logins", Limit=SAMPLE)["Items"]
        for item in items:
            present = self._here.get_item(
                TableName=f"{self._prefix}-logins", Key={"login": item["login"]}
            ).get("Item", {})
            sampled += 1
            if "password_hash" not in item or present.get("password_version") != item.get(
                "password_version"
            ):
                # No password yet, or another one since: there is nothing to compare.
                continue
            if present.get("password_hash") == item["password_hash"]:
                unchanged += 1
            else:
                wrong += 1
        return Restored(self._target, counts, sampled, unchanged, wrong)


def _encryption(declared: dict[str, Any]) -> dict[str, Any]:
    return {"Enabled": declared["SSESpecification"]["SSEEnabled"], "SSEType": "KMS"}


def _count(client: Any, name: str) -> int:
    pages = client.get_paginator("scan").paginate(TableName=name, Select="COUNT")
    return sum(page["Count"] for page in pages)


def _show(console: Console, restored: Restored, prefix: str) -> None:
    console.print(fill(words.RESTORED, prefix=restored.prefix))
    for name, (now, then) in restored.counts.items():
        console.print(fill(words.RESTORED_COUNT, name=name, now=now, then=then))
    console.print(
        fill(
            words.RESTORED_SAMPLE,
            sampled=restored.sampled,
            unchanged=restored.unchanged,
            wrong=restored.wrong,
        )
    )
    console.print(fill(words.RESTORED_NEXT, target=restored.prefix, prefix=prefix))
