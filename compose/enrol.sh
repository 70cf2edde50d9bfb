#!/bin/sh
# Takes the station of this machine into the fleet of the aggregator beside it: `sh compose/enrol.sh NAME`.
# Its secrets go into the station's, its section into its station file. COMPOSE names another Compose, such as docker-compose.
set -eu
name=${1:?say the name of the station in the network, such as: sh compose/enrol.sh demo}
compose=${COMPOSE:-docker compose}
folder=${SPS_CONFIG_FOLDER:-$(sed -n 's/^SPS_CONFIG_FOLDER=//p' .env 2>/dev/null || true)}
file=${folder:-./config}/station.yaml
handed=/tmp/enrolled/$name

if grep -q '^aggregator:' "$file"; then
    echo "$file has a section 'aggregator' already; take it out first" >&2
    exit 1
fi
section=$($compose exec -T aggregator sps aggregator enrol "$name" --into "$handed")
$compose exec -T aggregator tar -C "$handed" -c aggregator-link |
    $compose run --rm -T --no-deps --entrypoint tar setup -x -o -C /secrets
$compose exec -T aggregator rm -r "$handed"
printf '\n%s\n' "$section" >>"$file"
$compose run --rm -T --no-deps setup
$compose restart gateway
echo "$name is enrolled; what it shares is said by preferences.sharing of $file, or on its page"
