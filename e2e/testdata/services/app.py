import subprocess, sys, time

def app(environ, start_response):
    """What the workers have done, asked of the database; /slow takes a second."""
    if environ["PATH_INFO"] == "/slow":
        print("asked", file=sys.stderr, flush=True)
        time.sleep(1)
    done = subprocess.run(["psql", "-XqAt", "-c", "SELECT count(*) FROM work WHERE done"],
                          capture_output=True, check=True).stdout
    start_response("200 OK", [("Content-Length", str(len(done)))])
    return [done]
