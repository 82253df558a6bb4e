"""The ``camid`` command: the analyst's commands and the engineer's, each imported when it runs."""

from importlib import import_module

import click

from camid.cli.errors import EXIT_CODES

PLACES = {
    "camid.cli.analyst": ("enrol", "list", "remove", "export", "check", "identify", "verify"),
    "camid.cli.engineer": ("compile", "plan", "simulate", "store", "ui"),
}
"""Commands by the module that has them."""


class Commands(click.Group):
    """Commands that are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return all names, the analyst's first."""
        return [name for names in PLACES.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command by its name, or None."""
        for module, names in PLACES.items():
            if cmd_name in names:
                command: click.Command = import_module(module).COMMANDS[cmd_name]
                return command
        return None


@click.group(cls=Commands, epilog=EXIT_CODES)
@click.version_option(package_name="camid")
def main() -> None:
    """Tell which physical camera took photographs, from the noise of its sensor."""
