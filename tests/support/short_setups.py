"""Pytest plugin: the set-up of a test does once in a process what depends on nothing in the test.

Each world has a botocore session and an active moto of its own; operators' commands and functions under IAM
have a session each. botocore splits the same hundred names of events by the same list of aliases, reads
the signatures of the same handlers for each session and each client, and registers these handlers; moto
makes 200 objects that describe the addresses of AWS. That was a tenth of the processor's time of most
tests on moto, and half of some.
"""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any

from botocore import handlers, hooks
from botocore.session import Session
from moto.core import models
from responses import CallbackResponse

_Aliaser: Any = hooks.EventAliaser
_hooks: Any = hooks
_models: Any = models
_alias = _Aliaser._alias_event_name
_accepts_by_signature = _hooks.accepts_kwargs


@functools.cache
def _alias_of_botocore(name: str) -> Any:
    return _alias(_Aliaser(None), name)


def _alias_event_name(self: Any, event_name: str) -> Any:
    if self._event_aliases is hooks.EVENT_ALIASES:
        return _alias_of_botocore(event_name)
    return _alias(self, event_name)


def _copied(self: Any) -> Any:
    # With the very aliases, which nothing changes: a client's emitter is a copy of its session's.
    return _Aliaser(copy.copy(self._emitter), self._event_aliases)


def _accepts_kwargs(handler: Any) -> Any:
    # A function's code says it as well; the signature would describe each parameter.
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    return (
        _accepts_by_signature(handler) if code is None else code.co_flags & inspect.CO_VARKEYWORDS
    )


_Session: Any = Session
_register = _Session._register_builtin_handlers


@functools.cache
def _emitter_of(number: int) -> Any:
    session = _Session(include_builtin_handlers=False)
    _register(session, session._events)
    return session._original_handler


def _register_copy(session: Any, events: Any) -> None:
    if type(events._emitter) is not hooks.HierarchicalEmitter:
        _register(session, events)
        return
    # Their number grows when moto is imported.
    copied = copy.copy(_emitter_of(len(handlers.BUILTIN_HANDLERS)))
    vars(events._emitter).update(vars(copied), _lookup_cache={})


def _copied_handlers(node: Any) -> Any:
    return hooks.NodeList(node.first[:], node.middle[:], node.last[:])


_Session._register_builtin_handlers = _register_copy
_hooks.NodeList.__copy__ = _copied_handlers
_Aliaser._alias_event_name = _alias_event_name
_Aliaser.__copy__ = _copied
_hooks.accepts_kwargs = _accepts_kwargs
_models.CallbackResponse = functools.cache(CallbackResponse)
