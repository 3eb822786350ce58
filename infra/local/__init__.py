"""The local twin: the whole service on one machine, with AWS, WeChat and the phones played here.

`python -m infra.local` runs it. `SimulatedWeChat` and `SimulatedSms` also stand alone, for tests.
"""
