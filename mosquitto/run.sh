#!/bin/sh
# Runs a broker in its container, and has it read its files again whenever one of them was made anew: `run.sh CONFIGURATION FILE...`.
# Compose v2 does not start a broker again because the rules in its volume changed.
set -u
conf=$1
shift
stamps() { stat -c '%i %Y' "$@" 2>/dev/null; }

broker=
trap 'if [ -n "$broker" ]; then kill "$broker"; wait "$broker"; fi; exit 0' TERM INT

# Whoever writes them may be later than we.
until known=$(stamps "$@"); do sleep 1; done
mosquitto -c "$conf" &
broker=$!
while kill -0 "$broker" 2>/dev/null; do
    sleep 1
    now=$(stamps "$@") || continue
    if [ "$now" != "$known" ]; then
        kill -HUP "$broker"
        known=$now
    fi
done
wait "$broker"
