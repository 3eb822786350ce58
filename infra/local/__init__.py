"""The local stack: the whole service on one machine, with simulated AWS, WeChat and phones.

`python -m infra.local` runs it. `SimulatedWeChat` and `SimulatedSms` can be used alone, in tests.
"""
