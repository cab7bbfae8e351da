#!/bin/sh
# An app that does not care to be stopped: it ignores TERM, and so does its
# child, which inherits that. The end of the child is not the end of it.
trap '' TERM
echo "ignoring TERM"
while :; do
	sleep 1
done
