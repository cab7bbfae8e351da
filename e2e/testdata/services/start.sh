#!/bin/sh
# As it was found: servers in the background, one of them a daemon, a PID file,
# and not a word about signals.
redis-server --port 6379 --bind 127.0.0.1 --save "3600 1" --daemonize yes
my-server --port 8080 &
echo $$ >/run/legacy.pid
while :; do sleep 60; done
