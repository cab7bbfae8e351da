# Forks until the system refuses, at most 200 times, and then waits.
import os
import signal

started = 0
try:
    while started < 200:
        if os.fork() == 0:
            while True:
                signal.pause()
        started += 1
except BlockingIOError:
    print("app: refused after", started, flush=True)
while True:
    signal.pause()
