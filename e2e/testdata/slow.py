# A WSGI application that takes 3 seconds for a request.
import time


def app(environ, start_response):
    print("app: asked", flush=True)
    time.sleep(3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]
