# A WSGI application that takes 3 seconds for a request, and its configuration.
import time


def app(environ, start_response):
    print("app: asked", flush=True)
    time.sleep(3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]


# A worker that is told before this is not told: gunicorn has yet to set its
# handlers, and then waits for it in vain.
def post_worker_init(worker):
    print("app: ready", flush=True)
