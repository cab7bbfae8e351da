# A Celery worker whose broker is a folder, with a task of 6 seconds.
import os
import time

import celery

QUEUE = os.environ["QUEUE"]

app = celery.Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": QUEUE, "data_folder_out": QUEUE}


@app.task
def work(fifo):
    with open(fifo, "w") as pipe:
        print("begun", file=pipe, flush=True)
        time.sleep(6)
        print("done", file=pipe, flush=True)
