"""Calls as lines of JSON on standard input, answers and events as lines on standard output."""

import json
import sys
import threading

_lock = threading.Lock()


def say(**what):
    with _lock:
        print(json.dumps(what), flush=True)


def event(name, value):
    say(event=name, value=value)


def serve(calls):
    """Until standard input ends; `calls` are functions by name."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            say(id=asked["id"], result=calls[asked["call"]](*asked["args"]))
        except Exception as error:
            say(id=asked["id"], error=f"{type(error).__name__}: {error}")
