"""Write the first value of the settings' secret, from a JSON file, with generated keys.

    python -m infra.deploy.first_settings settings.json --prefix recovery

The file holds the settings by name. Keys that operators need not choose are generated where they are
missing, and written back into the file, which then has to be kept offline: without `CODE_PEPPER`, no
password can be verified. Nothing secret is printed.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import boto3
import click

from chalicelib.settings import SettingsError, load
from infra.deploy import words

_GENERATED = ("SIGNING_KEYS", "CODE_PEPPER", "RECEIPTS_PATH")


@dataclass(frozen=True)
class GivenSettings:
    """Settings by name, as a file has them."""

    values: dict[str, str]

    def names(self) -> list[str]:
        """Return the names in the file's order."""
        return list(self.values)

    def with_generated_keys(self) -> GivenSettings:
        """Return the settings with each missing key generated, 256 bits."""
        generated = {
            name: ("1:" if name == "CODE_PEPPER" else "") + secrets.token_hex(32)
            for name in _GENERATED
            if not self.values.get(name)
        }
        return replace(self, values={**self.values, **generated})

    def text(self) -> str:
        """Return the settings as the JSON object that the secret holds."""
        return json.dumps(self.values, ensure_ascii=False, indent=2)


def read_settings(path: Path) -> GivenSettings:
    """Read a file of settings. Raises UsageError if it is not a JSON object of texts."""
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise click.UsageError(words.NOT_AN_OBJECT.format(path=path))
    return GivenSettings(found)


def _write(path: Path, content: str) -> None:
    """Write a file that only its owner reads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.chmod(path, 0o600)
        file.write(content + "\n")


@click.command(help=words.FIRST_SETTINGS)
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--prefix", default="recovery", show_default=True, help=words.PREFIX)
def main(path: Path, prefix: str) -> None:
    """Write the secret, which must be empty; later changes are made in Secrets Manager."""
    name = f"{prefix}-settings"
    settings = read_settings(path).with_generated_keys()
    try:
        load({"SECRETS_ID": name}, settings.text())
    except SettingsError as error:
        faults = "\n".join(error.faults)
        raise click.UsageError(words.SETTINGS_FAULTS.format(faults=faults)) from None
    client = boto3.client("secretsmanager")
    if json.loads(client.get_secret_value(SecretId=name)["SecretString"]) != {}:
        raise click.UsageError(words.SECRET_NOT_EMPTY.format(name=name))
    # The file first: a key that only the secret has could not be kept offline.
    _write(path, settings.text())
    client.put_secret_value(SecretId=name, SecretString=settings.text())
    click.echo(words.SECRET_WRITTEN.format(name=name, count=len(settings.values), path=path))


if __name__ == "__main__":
    main(prog_name="python -m infra.deploy.first_settings")
