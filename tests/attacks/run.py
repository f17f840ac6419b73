"""Every corpus of attacks against a service of our own, on loopback; a table of what came of it.

    python tests/attacks/run.py [--every 5] [markup formulas ...]

Invariant: a corpus that tried nothing is a failure, as is one hit.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from attacks.ground import ground
from attacks.trials import TRIALS

SHOWN_MAX = 12


def main() -> None:
    """Throw everything; tell what hit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="a sample: every Nth")
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", help=", ".join(TRIALS))
    options = parser.parse_args()
    unknown = set(options.corpora) - set(TRIALS)
    if unknown:
        parser.error(f"no corpus is called {', '.join(sorted(unknown))}")
    tried_in_all, hits_in_all, failed = 0, 0, False
    print(f"{'corpus':32} {'tried':>6} {'hits':>5} {'s':>6}")
    for name in options.corpora or TRIALS:
        began = time.monotonic()
        with ground() as service:
            found = list(TRIALS[name](service, options.every))
        hits = [hit for hit in found if hit is not None]
        seconds = time.monotonic() - began
        print(f"{name:32} {len(found):6} {len(hits):5} {seconds:6.1f}", flush=True)
        for hit in hits[:SHOWN_MAX]:
            print(f"    {hit}")
        tried_in_all, hits_in_all = tried_in_all + len(found), hits_in_all + len(hits)
        failed = failed or bool(hits) or not found
    print(f"{tried_in_all} tried, {hits_in_all} hits: {'FAILED' if failed else 'nothing got in'}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
