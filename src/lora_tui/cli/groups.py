"""Groups of commands: their help says of each command what it does in a whole sentence."""

from __future__ import annotations

import click

DEFAULT = "default"
_LONG = 1000


class Group(click.Group):
    """click cuts a command's first sentence where the line ends; here it is wrapped."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands."""
        known = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, found.get_short_help_str(_LONG)) for name, found in known if found and not found.hidden]
            )


class DefaultCommand(Group):
    """A group that is also a command: `label 12 --accept` beside `label export FILE`.

    What does not begin with a subcommand's name goes to the one called DEFAULT, whose help is shown too; without a word
    the help is shown, or, where `no_args_is_help` is false, DEFAULT is done.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's name in front where no other is named; asked for help, give the group's."""
        if not args and not self.no_args_is_help:
            args = [DEFAULT]
        elif args and args[0] not in self.commands:
            asked = next((arg for arg in args if arg in ctx.help_option_names), None)
            args = [asked] if asked is not None else [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Both ways to call it."""
        formatter.write_usage(ctx.command_path, " ".join(self._default(ctx).collect_usage_pieces(ctx)))
        super().format_usage(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's options, then the subcommands."""
        self._default(ctx).format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands that have a name of their own."""
        return [name for name in super().list_commands(ctx) if name != DEFAULT]

    def _default(self, ctx: click.Context) -> click.Command:
        return self.commands[DEFAULT]


def path_of(context: click.Context) -> str:
    """How a person calls the command of a context."""
    return context.command_path.removesuffix(f" {DEFAULT}")
