"""`allotment completion`: the script that completes commands, options and names in a shell.

Invariant: printing the script opens no book.
"""

from __future__ import annotations

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

from allotment.doors.cli.grammar import DoorCommand


@click.command("completion", cls=DoorCommand)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell: it knows commands, options and the book's names.

    \b
    Put this into your shell's own file:
      ~/.bashrc                    eval "$(allotment completion bash)"
      ~/.zshrc                     eval "$(allotment completion zsh)"
      ~/.config/fish/config.fish   allotment completion fish | source
    """
    found = get_completion_class(shell)
    assert found is not None, "click knows the three shells"
    script = found(context.find_root().command, {}, "allotment", "_ALLOTMENT_COMPLETE")
    # Not the shell's own `source`: that one starts the shell to ask for its version.
    sys.stdout.write(ShellComplete.source(script) + "\n")
