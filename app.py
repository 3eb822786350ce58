"""Define every Lambda entry point."""

from __future__ import annotations

from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Cron, SQSEvent

from chalicelib.handlers import canary as canary_events
from chalicelib.handlers import (
    credentials,
    desk_logins,
    desk_page,
    desk_reviews,
    freezing,
    middleware,
    openapi,
    receipts,
    recovery,
    support,
    web,
    wechat,
)
from chalicelib.handlers import yearly_reset as yearly_reset_events

app = Chalice(app_name="login-recovery", configure_logs=False)
middleware.register(app)
app.register_blueprint(recovery.blueprint)
app.register_blueprint(wechat.blueprint)
app.register_blueprint(freezing.blueprint)
app.register_blueprint(web.blueprint)
app.register_blueprint(openapi.blueprint)
app.register_blueprint(credentials.blueprint)
app.register_blueprint(receipts.blueprint)
app.register_blueprint(support.blueprint)
app.register_blueprint(desk_page.blueprint)
app.register_blueprint(desk_logins.blueprint)
app.register_blueprint(desk_reviews.blueprint)


@app.lambda_function(name="sms_receipts")
def sms_receipts(event: dict[str, Any], _: object) -> dict[str, int]:
    """Record the delivery receipts in Amazon SNS's logs, sent by a CloudWatch Logs subscription."""
    return receipts.from_logs(event)


# The schedule is in infra/deploy/canary.yaml, where a parameter switches it off.
@app.lambda_function(name="canary")
def canary(_: object, __: object) -> dict[str, Any]:
    """Make a whole recovery of the test firm over HTTPS, and return how it went."""
    return canary_events.run()


# 00:00 on 1 January in Beijing; the cron expression is in UTC.
@app.schedule(Cron("0", "16", "31", "12", "?", "*"), name="yearly_reset")
def yearly_reset(event: CloudWatchEvent) -> None:
    """Give every finance login its default password of the new year."""
    yearly_reset_events.plan(event)


@app.on_sqs_message(queue="recovery-reset", batch_size=10, name="reset_accounts")
def reset_accounts(event: SQSEvent) -> dict[str, list[dict[str, str]]]:
    """Process a batch of the yearly reset's chunks and return the messages to deliver again."""
    return yearly_reset_events.work(event)
