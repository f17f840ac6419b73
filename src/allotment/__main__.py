"""`python -m allotment` is the command line.

Invariant: it is the same as the `allotment` script.
"""

from allotment.doors.cli import main

if __name__ == "__main__":
    main()
