"""A group that is also a command: `label 12 --accept` beside `label export FILE`."""

from __future__ import annotations

import click

DEFAULT = "default"


class DefaultCommand(click.Group):
    """What does not begin with a subcommand's name goes to the one called DEFAULT, whose help is shown too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's name in front where no other is named."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
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
