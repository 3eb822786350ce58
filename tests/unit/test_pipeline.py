"""The example pipeline and the trial of a deployment that it ends with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner

from chalicelib.version import VERSION
from infra.deploy import preflight, smoke
from infra.deploy.package import additions

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow's content."""
    found: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text("utf-8"))
    return found


def runs(name: str, job: str) -> list[str]:
    """Return the commands of a job."""
    return [step["run"] for step in workflow(name)["jobs"][job]["steps"] if "run" in step]


def test_production_comes_after_everything_else() -> None:
    """Check and test, package, staging; production is an environment with its own reviewers."""
    jobs = workflow("release.yml")["jobs"]
    assert list(jobs) == ["check", "test", "package", "staging", "production"]
    assert set(jobs["package"]["needs"]) == {"check", "test"}
    assert jobs["staging"]["needs"] == ["package"]
    assert jobs["production"]["needs"] == ["staging"]
    assert jobs["production"]["with"]["environment"] == "production"
    deploy = workflow("deploy.yml")["jobs"]["deploy"]
    assert deploy["environment"] == "${{ inputs.environment }}"
    # A pull request is not deployed.
    assert jobs["staging"]["if"] == "github.event_name == 'push'"


def test_a_deployment_is_checked_before_and_tried_after() -> None:
    """The parameters are the template's, and each make target exists."""
    commands = runs("deploy.yml", "deploy")
    order = [
        next(i for i, each in enumerate(commands) if word in each)
        for word in ("preflight", "sam deploy", "infra.deploy.smoke")
    ]
    assert order == sorted(order)
    (deploy,) = (each for each in commands if each.startswith("sam deploy"))
    given = set(re.findall(r"(\w+)=", deploy))
    assert given
    assert given <= set(additions()["Parameters"])
    assert "DeletionProtection=yes" in deploy
    makefile = (WORKFLOWS.parents[1] / "Makefile").read_text("utf-8")
    for job in ("check", "test", "package"):
        for command in runs("release.yml", job):
            for target in re.findall(r"make (\w+)", command):
                assert f"\n{target}: " in makefile


def test_the_preflight_s_arguments_are_accepted() -> None:
    """As the workflow passes them."""
    (command,) = (each for each in runs("deploy.yml", "deploy") if "preflight" in each)
    arguments = command.partition('ARGS="')[2].rstrip('"').replace("$PREFIX", "staging")
    context = preflight.main.make_context("preflight", arguments.split())
    assert context.params["stack"] == "staging"


class Answer:
    """An answer of the site."""

    def __init__(self, status: int, text: str = "", version: str = VERSION) -> None:
        self.status_code, self.text = status, text
        self._version = version

    def json(self) -> dict[str, str]:
        return {"version": self._version}


GOOD = {"/health": Answer(200), "/": Answer(200, "<h1>找回密码</h1>"), "post": Answer(403)}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, ""),
        ({"/health": Answer(503)}, "/health answers 503"),
        ({"/health": Answer(200, version="0.0.1")}, "version 0.0.1"),
        ({"/": Answer(403)}, "the page answers 403"),
        ({"/": Answer(200, "rubbish")}, "the page answers 200"),
        ({"post": Answer(200)}, "answered 200, not 403"),
    ],
)
def test_a_deployment_is_tried(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Answer], fault: str
) -> None:
    """Each fault is a sentence and the status 1."""
    answers = {**GOOD, **changed}
    site = "https://recovery.example"
    monkeypatch.setattr(requests, "get", lambda url, **_: answers[url.removeprefix(site)])
    monkeypatch.setattr(requests, "post", lambda *_, **__: answers["post"])
    ran = CliRunner().invoke(smoke.main, [site + "/"])
    assert ran.exit_code == bool(fault)
    assert fault in ran.output
    assert bool(ran.output) == bool(fault)


def test_a_site_that_does_not_answer_is_a_fault() -> None:
    """Three times, once for each check."""
    found = list(smoke.faults("http://127.0.0.1:9"))
    assert found == ["no answer: ConnectionError"] * 3
