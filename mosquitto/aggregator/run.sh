#!/bin/sh
# Runs the aggregator's broker, and has it read its files again whenever a station is enrolled or withdrawn.
set -u
stamps() { stat -c '%i %Y' /mosquitto/secrets/passwd /mosquitto/secrets/acl 2>/dev/null; }

broker=
trap 'if [ -n "$broker" ]; then kill "$broker"; wait "$broker"; fi; exit 0' TERM INT

# The aggregator writes them at its first start.
until known=$(stamps); do sleep 1; done
mosquitto -c /mosquitto/config/mosquitto.conf &
broker=$!
while kill -0 "$broker" 2>/dev/null; do
    sleep 1
    now=$(stamps) || continue
    if [ "$now" != "$known" ]; then
        kill -HUP "$broker"
        known=$now
    fi
done
wait "$broker"
