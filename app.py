"""Every Lambda entry point."""

from __future__ import annotations

from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Cron, SQSEvent

from chalicelib.doors import (
    credentials,
    observed,
    openapi,
    page,
    receipts,
    recovery,
    reset,
    wechat,
)

app = Chalice(app_name="login-recovery", configure_logs=False)
observed.watch(app)
app.register_blueprint(recovery.blueprint)
app.register_blueprint(wechat.blueprint)
app.register_blueprint(page.blueprint)
app.register_blueprint(openapi.blueprint)
app.register_blueprint(credentials.blueprint)
app.register_blueprint(receipts.blueprint)


@app.lambda_function(name="sms_receipts")
def sms_receipts(event: dict[str, Any], _: object) -> dict[str, int]:
    """What Amazon SNS's delivery logs tell, by a subscription of CloudWatch Logs."""
    return receipts.from_logs(event)


# 00:00 on 1 January in Beijing, told in UTC.
@app.schedule(Cron("0", "16", "31", "12", "?", "*"), name="yearly_reset")
def yearly_reset(event: CloudWatchEvent) -> None:
    """Give every finance login its default password of the new year."""
    reset.plan(event)


@app.on_sqs_message(queue="recovery-reset", batch_size=10, name="reset_accounts")
def reset_accounts(event: SQSEvent) -> dict[str, list[dict[str, str]]]:
    """A batch of the yearly reset's chunks; what must come again is named in the answer."""
    return reset.work(event)
