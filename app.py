"""Every Lambda entry point."""

from __future__ import annotations

from chalice.app import Chalice

from chalicelib.doors import openapi, page, recovery, wechat

app = Chalice(app_name="login-recovery")
app.register_blueprint(recovery.blueprint)
app.register_blueprint(wechat.blueprint)
app.register_blueprint(page.blueprint)
app.register_blueprint(openapi.blueprint)
