"""The example pipeline and the trial of a deployment that it ends with."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from botocore.exceptions import ClientError
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


def test_the_pipeline_recovers_the_test_firm_of_the_stack_that_it_deployed() -> None:
    """The same name; and the template has the output from which the function is found."""
    commands = runs("deploy.yml", "deploy")
    (deploy,) = (each for each in commands if each.startswith("sam deploy"))
    (tried,) = (each for each in commands if "infra.deploy.smoke" in each)
    assert '--stack-name "$PREFIX"' in deploy
    context = smoke.main.make_context("smoke", tried.partition("smoke ")[2].split())
    assert context.params["stack"] == '"$PREFIX"'
    assert additions()["Outputs"][smoke.OUTPUT]["Value"] == {"Ref": "Canary"}


RECOVERED = {"succeeded": True, "version": VERSION, "step": "verify", "problem": None}
FAILED = {**RECOVERED, "succeeded": False, "step": "code", "problem": "502 delivery-failed"}


class Cloud:
    """CloudFormation and Lambda, as far as a trial needs them."""

    def __init__(self, *results: dict[str, Any] | str, outputs: bool = True) -> None:
        """A text among the results is a function that failed."""
        self.results = list(results)
        self.invoked: list[str] = []
        self._outputs = outputs

    def client(self, service: str, **_: object) -> Cloud:
        assert service in ("cloudformation", "lambda")
        return self

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if StackName != "recovery":
            raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")
        output = {"OutputKey": smoke.OUTPUT, "OutputValue": "recovery-Canary-1"}
        return {"Stacks": [{"Outputs": [output]} if self._outputs else {}]}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        assert json.loads(Payload) == {}
        self.invoked.append(FunctionName)
        result = self.results.pop(0)
        if isinstance(result, str):
            return {"FunctionError": result, "Payload": io.BytesIO(b"{}")}
        return {"Payload": io.BytesIO(json.dumps(result).encode())}


@pytest.mark.parametrize(
    ("cloud", "stack", "fault"),
    [
        (Cloud(RECOVERED), "recovery", ""),
        # The schedule's own run disturbed the first one.
        (Cloud(FAILED, RECOVERED), "recovery", ""),
        (Cloud(FAILED, FAILED), "recovery", "failed at the step code: 502 delivery-failed"),
        (Cloud("Unhandled", "Unhandled"), "recovery", "the canary failed"),
        (Cloud(*[{**RECOVERED, "version": "0.0.1"}] * 2), "recovery", "version 0.0.1, not"),
        (Cloud(), "another", "not tried: ValidationError"),
        (Cloud(outputs=False), "recovery", "no output CanaryFunction"),
    ],
)
def test_a_recovery_is_tried_after_a_release(
    monkeypatch: pytest.MonkeyPatch, cloud: Cloud, stack: str, fault: str
) -> None:
    """By the stack's canary, twice at the most; what went wrong is a sentence and the status 1."""
    monkeypatch.setattr("boto3.client", cloud.client)
    monkeypatch.setattr(smoke, "CHECKS", ())
    ran = CliRunner().invoke(smoke.main, ["https://recovery.example", "--stack", stack])
    assert ran.exit_code == bool(fault)
    assert fault in ran.output
    assert bool(ran.output) == bool(fault)
    assert set(cloud.invoked) <= {"recovery-Canary-1"}
    assert cloud.results == []


def test_a_site_that_does_not_answer_is_a_fault() -> None:
    """Three times, once for each check."""
    found = list(smoke.faults("http://127.0.0.1:9"))
    assert found == ["no answer: ConnectionError"] * 3
