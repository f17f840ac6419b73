"""The command line: `allotment`.

Invariant: importing this costs nothing; a command's module is imported when the command is used.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process, and end it with the exit code."""
    try:
        from allotment.doors.cli.app import root

        sys.exit(root.main(prog_name="allotment"))
    except KeyboardInterrupt:
        sys.exit(130)
