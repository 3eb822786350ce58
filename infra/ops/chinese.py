"""Chinese headings, usage lines and error messages for click."""

from __future__ import annotations

import click

from chalicelib.domain.catalogue import fill

from . import words


class _Formatter(click.HelpFormatter):
    def write_heading(self, heading: str) -> None:
        self.write(f"{'':>{self.current_indent}}{words.HEADINGS.get(heading, heading)}：\n")

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix or words.USAGE)


class _Context(click.Context):
    formatter_class = _Formatter


class Command(click.Command):
    """A command with help in Chinese."""

    context_class = _Context


class Group(click.Group):
    """A group with help in Chinese."""

    context_class = _Context


def complaint(error: click.ClickException) -> str:
    """Return the Chinese message for an error in the command line."""
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return fill(words.PARAMETER_MISSING, name=_name(error.param))
    if isinstance(error, click.NoSuchOption):
        return fill(words.OPTION_UNKNOWN, name=error.option_name)
    if isinstance(error, click.exceptions.NoSuchCommand):
        return fill(words.COMMAND_UNKNOWN, name=error.command_name)
    if isinstance(error, click.BadParameter) and error.param is not None:
        return fill(words.PARAMETER_WRONG, name=_name(error.param))
    return fill(words.ERRORS["usage"], what=error.format_message())


def _name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[0]
    return parameter.human_readable_name.upper()
