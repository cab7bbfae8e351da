# What takes 2 seconds for a request, as a WSGI and as an ASGI application, and
# gunicorn's configuration.
import asyncio
import sys
import time

HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "6")]


def asked():
    print("app: asked", file=sys.stderr, flush=True)


def wsgi(environ, start_response):
    asked()
    time.sleep(2)
    start_response("200 OK", HEADERS)
    return [b"hello\n"]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    asked()
    await asyncio.sleep(2)
    headers = [(name.encode(), value.encode()) for name, value in HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello\n"})


# A worker that is told before this is not told: gunicorn has yet to set its
# handlers, and then waits for it in vain.
def post_worker_init(worker):
    print("app: ready", file=sys.stderr, flush=True)
