"""Callers that are interrupted, in a process of their own: the others go on."""

from __future__ import annotations

import subprocess
import sys
import textwrap

BEGINNING = textwrap.dedent(
    """
    import signal, sys, threading, time
    from allotment.store import group_commit

    class Interrupt(Exception):
        pass

    caught = []

    def interrupt(*_):
        if not caught:
            caught.append(True)
            raise Interrupt

    signal.signal(signal.SIGUSR1, interrupt)
    begun, let = threading.Event(), threading.Event()

    def serve(words):
        if "first" in words:
            begun.set()
            let.wait()
        return [word.upper() for word in words]

    group = group_commit.GroupCommit(serve)
    answers = []

    def ask(word):
        answers.append(group.submit(word))
    """
)

INTERRUPTED = BEGINNING + textwrap.dedent(
    """
    group_commit.BATCHES_LED_MAX = 1
    def when_waiting(count, act):
        while len(group._waiting) < count:
            pass
        act()

    leader = threading.Thread(target=ask, args=("first",), daemon=True)
    leader.start()
    begun.wait()
    main = threading.main_thread().ident
    def kill():
        # Again and again: one that comes just before the wait begins would wake nobody.
        while not caught:
            signal.pthread_kill(main, signal.SIGUSR1)
            time.sleep(0.05)
    threading.Thread(target=when_waiting, args=(1, kill), daemon=True).start()
    try:
        ask("interrupted")
    except Interrupt:
        pass
    left = len(group._waiting)
    other = threading.Thread(target=ask, args=("other",), daemon=True)
    other.start()
    when_waiting(left + 1, let.set)
    leader.join(5)
    other.join(5)
    last = threading.Thread(target=ask, args=("last",), daemon=True)
    last.start()
    last.join(5)
    print(sorted(answers))
    sys.exit(0 if {"FIRST", "OTHER", "LAST"} <= set(answers) else 1)
    """
)


def test_a_follower_interrupted_while_it_waits_leaves_no_group_without_a_leader() -> None:
    """Ctrl-C in one thread: the others go on."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


GATHERING = BEGINNING + textwrap.dedent(
    """
    group_commit.GATHER_SECONDS = 30
    crowd = [threading.Thread(target=ask, args=("first",))]
    crowd[0].start()
    begun.wait()
    for n in range(8):
        crowd.append(threading.Thread(target=ask, args=(str(n),)))
        crowd[-1].start()
    while len(group._waiting) < 8:
        pass
    group_commit.GATHER_TRIES = 0
    let.set()
    for one in crowd:
        one.join()
    group_commit.GATHER_TRIES = 4
    main = threading.main_thread().ident
    def kill():
        while not group._leading:
            pass
        while not caught:
            signal.pthread_kill(main, signal.SIGUSR1)
            time.sleep(0.05)
    threading.Thread(target=kill, daemon=True).start()
    try:
        group.submit("interrupted while it gathers")
    except Interrupt:
        pass
    last = threading.Thread(target=ask, args=("last",), daemon=True)
    group_commit.GATHER_TRIES = 0
    last.start()
    last.join(5)
    print(sorted(answers))
    sys.exit(0 if "LAST" in answers else 1)
    """
)


def test_a_leader_interrupted_while_it_gathers_leaves_no_group_without_a_leader() -> None:
    """Ctrl-C before the first batch of a leader: the next to come leads."""
    done = subprocess.run(
        [sys.executable, "-c", GATHERING], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
