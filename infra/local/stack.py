"""The local stack: start every part in order and stop them in reverse order."""

from __future__ import annotations

import importlib
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import runtime
from chalicelib.settings import SETTINGS, SettingsError, load
from infra.deploy.tables import load_template

from .aws import KEY, LocalAws, Resources, point_at
from .clock import MovableClock
from .defaults import place_settings, secret_settings, without_set
from .firms import DEMO
from .gateway import Gateway, compressed_from, function_context
from .identity_provider import CLIENT_ID, IdentityProvider
from .journal import Journal
from .login_page import CredentialsClient, LoginPage
from .people import People
from .phone_page import PhonePage
from .schedules import Scheduler, schedules
from .seeding import CannotStart, make_menu, one_line, read, seed
from .service import build_server
from .serving import bind
from .sigv4_check import SigV4Check
from .sms import Message, SimulatedSms
from .sqs_poller import SqsPoller, queue_mappings
from .table_contents import TableContents
from .tour import Demo, Tour
from .wechat import SimulatedWeChat
from .wechat.account import CODE_TEMPLATE, NOTICE_TEMPLATE

ROOT = Path(__file__).parents[2]
RESETTABLE = 500
"""Maximum number of firms with which the demo keeps a copy of its tables, to return to it."""

SMS_SIGN = next(setting.default or "" for setting in SETTINGS if setting.name == "SMS_SIGN")


class StartAborted(Exception):
    """The local stack was stopped before it was ready."""


class _Component(Protocol):
    def start(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Options:
    """Options of the command line; a URL replaces the simulator of that platform."""

    port: int = 8000
    firms: Path | None = None
    dynamodb: str | None = None
    sms_url: str | None = None
    wechat_url: str | None = None
    proof: bool = True


class LocalStack:
    """A running local stack. One per process: the service reads the process's environment.

    A context manager: `with LocalStack(options, print) as stack` runs until the block ends.
    """

    def __init__(
        self,
        options: Options,
        say: Callable[[str], None],
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """`say` prints a line; `is_stopped` is called during the start and aborts it with True.

        A start takes minutes where many firms are loaded.
        """
        self._options = options
        self._say = say
        self._is_stopped = is_stopped
        self._components = ExitStack()
        self.people = People()
        self.clock = MovableClock()
        self._journal = Journal()
        self._tables: list[str] = []
        self._phone: PhonePage | None = None
        self._loaded = 0
        self._secret = ""
        self.url = ""
        self.aws_url = ""

    def __enter__(self) -> LocalStack:
        try:
            self._start()
        except BaseException:
            self._components.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._components.close()

    def _check_stopped(self) -> None:
        if self._is_stopped():
            raise StartAborted

    def _run(self, component: _Component) -> None:
        self._check_stopped()
        component.start()
        self._components.callback(component.close)

    def _start(self) -> None:
        options = self._options
        try:
            bound = bind(options.port)
        except (OSError, OverflowError) as error:
            raise CannotStart(f"port {options.port} cannot be used: {one_line(error)}") from None
        self._components.callback(bound.close)
        port = bound.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

        aws = LocalAws()
        self.aws_url = aws.url
        self._run(aws)
        point_at(os.environ, aws.url, options.dynamodb)

        environ = os.environ
        sms, wechat = self._start_simulators(environ, port)
        self._start_identity_provider(environ)
        firms = read(options.firms or DEMO)
        resources, template = self._make_resources(environ)
        self._check_settings(environ)

        self._check_stopped()
        # Not earlier: the service reads the environment when it is imported.
        module = importlib.import_module("app")
        runtime.install(None, self.clock)
        gateway = Gateway(
            module.app,
            SigV4Check(
                environ["AWS_ACCESS_KEY_ID"],
                environ["AWS_SECRET_ACCESS_KEY"],
                # Callers sign with the machine's clock.
                lambda: int(time.time()),
            ),
            f"arn:{resources.values['AWS::Partition']}:iam::"
            f"{resources.values['AWS::AccountId']}:user/local",
            self.clock,
        )
        self._loaded = seed(options.firms or DEMO, self._say, self._check_stopped)
        if wechat is not None:
            make_menu()
        poller = self._poller(module, template, resources)
        scheduler = Scheduler(schedules(module.app, module), self.clock, function_context(ROOT))
        login = self._login_page(environ, f"http://localhost:{port}")
        self._phone = PhonePage(
            site=environ["SITE_URL"],
            local=self.url,
            people=self.people,
            sms=sms,
            wechat=wechat,
            firms=firms,
            clock=self.clock,
            journal=self._journal,
            scheduler=scheduler,
            tour=Tour(
                Demo(
                    clock=self.clock,
                    people=self.people,
                    journal=self._journal,
                    login_page=login,
                    scheduler=scheduler,
                    sms=sms,
                    wechat=wechat,
                    contents=self._contents(),
                    hold_queues=poller.held,
                    has_demo_firms=options.firms is None,
                )
            ),
        )
        self._run(poller)
        self._run(scheduler)
        server = build_server(
            bound,
            gateway.answer,
            {"/_phone": self._phone.answer, "/_login": login.answer},
            self.url,
            compressed_from(ROOT),
            self._journal.observe,
        )
        self._run(server)
        self._print_summary(environ, sms, wechat)

    def _login_page(self, environ: Mapping[str, str], pc: str) -> LoginPage:
        site = environ["SITE_URL"].rstrip("/")
        return LoginPage(
            CredentialsClient(self.url, environ),
            origins=frozenset([site, self.url, pc]),
            pc=pc,
            clock=self.clock,
        )

    def _contents(self) -> TableContents | None:
        """Return a copy of the tables' contents; None where they are not the demo's own."""
        if self._options.dynamodb is not None or self._loaded > RESETTABLE:
            return None
        contents = TableContents(boto3.client("dynamodb"), self._tables)
        contents.save()
        return contents

    def _visitor(self, hints: Mapping[str, str]) -> str:
        return self._phone.visitor(hints) if self._phone else self.people.current.openid

    def _start_simulators(
        self, environ: Any, port: int
    ) -> tuple[SimulatedSms | None, SimulatedWeChat | None]:
        """Set every setting that the environment does not, and start the simulators in use."""
        options = self._options
        environ.update(without_set(environ, secret_settings()))
        environ.update(without_set(environ, place_settings(self.url, f"http://localhost:{port}")))
        if not options.proof:
            environ["PROOF_OF_WORK"] = "0"
        if options.sms_url is not None:
            environ["SMS_HTTP_URL"] = options.sms_url
        if options.wechat_url is not None:
            environ.update(WECHAT_API_URL=options.wechat_url, WECHAT_OPEN_URL=options.wechat_url)
        sms = wechat = None
        if "SMS_HTTP_URL" not in environ:
            sms = SimulatedSms(
                environ["SMS_HTTP_SECRET"],
                sign=environ.get("SMS_SIGN") or SMS_SIGN,
                on_message=self._show_sms,
                clock=self.clock,
            )
            self._run(sms)
            environ["SMS_HTTP_URL"] = sms.url
        if "WECHAT_API_URL" not in environ and "WECHAT_OPEN_URL" not in environ:
            wechat = self._simulated_wechat(environ)
            environ.update(WECHAT_API_URL=wechat.url, WECHAT_OPEN_URL=wechat.url)
        return sms, wechat

    def _start_identity_provider(self, environ: Any) -> None:
        """Start the demo staff's identity provider, unless the environment names one or none."""
        if "OIDC_ISSUER" in environ:
            return
        secret = environ.get("OIDC_CLIENT_SECRET") or secrets.token_hex(16)
        provider = IdentityProvider(
            secret,
            redirect_uri=lambda: f"{environ['SITE_URL'].rstrip('/')}/support/callback",
        )
        self._run(provider)
        environ.update(
            OIDC_ISSUER=provider.url, OIDC_CLIENT_ID=CLIENT_ID, OIDC_CLIENT_SECRET=secret
        )

    def _simulated_wechat(self, environ: Mapping[str, str]) -> SimulatedWeChat:
        # Its message for a wrong key is clearer than the cipher's.
        self._check_settings({**environ, "WECHAT_API_URL": self.url, "WECHAT_OPEN_URL": self.url})
        wechat = SimulatedWeChat(
            environ["WECHAT_APP_ID"],
            environ["WECHAT_APP_SECRET"],
            environ["WECHAT_TOKEN"],
            environ["WECHAT_AES_KEY"],
            callback_url=lambda: f"{self.url}/wechat/callback",
            visitor=self._visitor,
            site=lambda: frozenset([environ["SITE_URL"].rstrip("/"), self.url]),
            templates={
                environ["WECHAT_CODE_TEMPLATE_ID"]: CODE_TEMPLATE,
                environ["WECHAT_NOTICE_TEMPLATE_ID"]: NOTICE_TEMPLATE,
            },
            clock=self.clock,
        )
        self._run(wechat)
        return wechat

    @staticmethod
    def _check_settings(environ: Mapping[str, str]) -> None:
        try:
            load(environ)
        except SettingsError as error:
            raise CannotStart(str(error)) from None

    def _make_resources(self, environ: Any) -> tuple[Resources, dict[str, Any]]:
        template = load_template()
        resources = Resources(
            template, environ.get("TABLE_PREFIX") or "recovery", environ["AWS_REGION"]
        )
        quick = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
        try:
            self._tables = resources.make_tables(boto3.client("dynamodb", config=quick))
        except (BotoCoreError, ClientError, ValueError) as error:
            where = self._options.dynamodb or self.aws_url
            raise CannotStart(f"dynamodb at {where}: {one_line(error)}") from None
        resources.make_queues(boto3.client("sqs"))
        resources.make_topics(boto3.client("sns"))
        secret_id = environ.pop("SECRETS_ID", None)
        client = boto3.client("secretsmanager")
        secret_ids = resources.make_secrets(client, lambda: self._content(environ, resources))
        self._secret = secret_ids[0]
        environ.update(without_set(environ, self._variables(resources)))
        if secret_id:
            # The service then reads this secret, as it does in the cloud.
            content = json.dumps(self._content(environ, resources))
            if secret_id not in secret_ids:
                client.create_secret(Name=secret_id, SecretString=content)
            environ["SECRETS_ID"] = secret_id
        return resources, template

    @staticmethod
    def _variables(resources: Resources) -> dict[str, str]:
        # Without the secret, the service reads its settings from the environment, which then wins.
        variables = resources.variables()
        variables.pop("SECRETS_ID", None)
        return variables

    def _content(self, environ: Mapping[str, str], resources: Resources) -> dict[str, str]:
        """Return every setting of this start, so that the operators' commands use the same ones."""
        names = {setting.name for setting in SETTINGS}
        own = {name: value for name, value in environ.items() if name in names}
        return {**self._variables(resources), **own}

    @staticmethod
    def _poller(module: Any, template: Mapping[str, Any], resources: Resources) -> SqsPoller:
        mapped = [
            (mapping, getattr(module, mapping.function))
            for mapping in queue_mappings(template, resources.values, module.app)
            if hasattr(module, mapping.function)
        ]
        return SqsPoller(boto3.client("sqs"), mapped, function_context(ROOT))

    def _show_sms(self, message: Message) -> None:
        self._say(f"  sms to {message.to}: {message.text}")

    def _print_summary(
        self, environ: Mapping[str, str], sms: SimulatedSms | None, wechat: SimulatedWeChat | None
    ) -> None:
        say = self._say
        say(f"  {self._loaded} firms, each with two logins")
        say(f"  the page alone  {self.url}/")
        say(f"  the login page  {self.url}/_login")
        if environ["OIDC_ISSUER"]:
            say(f"  support desk    {self.url}/support/    客服工作台，演示人员一键登录")
        if sms is None:
            say("  SMS go to " + environ["SMS_HTTP_URL"])
        if wechat is None:
            say("  WeChat is " + environ["WECHAT_API_URL"])
        own = environ["AWS_SECRET_ACCESS_KEY"] == KEY
        key = environ["AWS_ACCESS_KEY_ID"]
        secret = f"secret {KEY}" if own else "secret as in the environment"
        say(f"  AWS key {key}, {secret}, region {environ['AWS_REGION']}")
        dynamodb = self._options.dynamodb
        also = f"AWS_ENDPOINT_URL_DYNAMODB={dynamodb} " if dynamodb else ""
        say(
            f"  operators       AWS_ENDPOINT_URL={self.aws_url} {also}SECRETS_ID={self._secret} "
            "python -m infra.ops"
        )
        say(f"aws {self.aws_url}")
        say(f"ready {self.url}")
        say(f"  click here      {self.url}/_phone    手机和电脑并排演示，从这里开始")
