"""aiocoap as it comes; argument: the base of all paths."""

import asyncio
import sys
import threading

import aiocoap
import driven

base = sys.argv[1]
patience = 15
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
context = asyncio.run_coroutine_threadsafe(aiocoap.Context.create_client_context(), loop).result(patience)
observed = {}


def told(message):
    return [message.code.dotted, message.payload.decode()]


def run(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(patience)


async def ask(method, path, payload):
    code = getattr(aiocoap, method)
    message = aiocoap.Message(code=code, uri=base + path, payload=payload.encode())
    return told(await context.request(message).response)


async def watch(path, name):
    message = aiocoap.Message(code=aiocoap.GET, uri=base + path, observe=0)
    request = context.request(message)
    first = told(await request.response)
    request.observation.register_callback(lambda message: driven.event(name, told(message)))
    observed[name] = request
    return first


async def leave(name):
    observed.pop(name).observation.cancel()


driven.serve(
    {
        "request": lambda method, path, payload="": run(ask(method, path, payload)),
        "observe": lambda path, name: run(watch(path, name)),
        "cancel": lambda name: run(leave(name)),
    }
)
