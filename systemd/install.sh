#!/bin/sh
# Puts the station under systemd: `make install` calls this as root. Run again it upgrades; what a person edited and all state stays.
#   PREFIX  where the software goes       (/opt/smart-power-station)
#   ETC     the station file and secrets  (/etc/smart-power-station)
#   STATE   what the services remember    (/var/lib/smart-power-station)
#   DESTDIR a root to install into: nothing is started then, and no user is made
#   VENV    a ready Python environment to link instead of making one
set -eu
PREFIX=${PREFIX:-/opt/smart-power-station} ETC=${ETC:-/etc/smart-power-station} STATE=${STATE:-/var/lib/smart-power-station}
DESTDIR=${DESTDIR:-} PYTHON=${PYTHON:-python3}
UNITS=$DESTDIR/etc/systemd/system
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

fail() { echo "install: $1" >&2; exit 1; }
case $STATE in /var/lib/?*) ;; *) fail "STATE=$STATE: systemd keeps a service's state below /var/lib; choose a folder there" ;; esac
if [ -z "$DESTDIR" ]; then
    [ "$(id -u)" = 0 ] || fail "this needs root: sudo make install (or name a folder to install into: make install DESTDIR=/tmp/root)"
    command -v systemctl >/dev/null || fail "there is no systemd here; docs/containers.md tells how to run in containers"
    [ -x /usr/sbin/mosquitto ] || fail "Mosquitto is missing; on Debian or Ubuntu: apt-get install mosquitto, then: systemctl disable --now mosquitto"
    # Also those that the drop-ins name: one that is missing keeps its unit from starting at all. Packages that bring them take them as they are.
    for group in sps $(sed -n 's/^SupplementaryGroups=//p' "$here"/systemd/*.service.d/*.conf | sort -u); do
        getent group "$group" >/dev/null || groupadd --system "$group"
    done
    getent passwd sps >/dev/null || useradd --system --gid sps --home-dir "$STATE" --shell /usr/sbin/nologin sps
fi

install -d "$DESTDIR$PREFIX" "$DESTDIR$PREFIX/docs" "$UNITS" "$DESTDIR$ETC/programmes"
install -d -m 0700 "$DESTDIR$ETC/secrets"
if [ -n "${VENV:-}" ]; then
    ln -sfn "$VENV" "$DESTDIR$PREFIX/venv"
else
    echo "installing Python packages into $PREFIX/venv (the first time takes a few minutes on a small board)"
    [ -x "$DESTDIR$PREFIX/venv/bin/python" ] || "$PYTHON" -m venv "$DESTDIR$PREFIX/venv"
    pip="$DESTDIR$PREFIX/venv/bin/python -m pip --disable-pip-version-check install --quiet"
    $pip --require-hashes --requirement "$here/requirements/run.txt"
    $pip --no-deps --no-build-isolation --force-reinstall "$here"
fi
# The command line for people, who need not say where everything lies.
cat >"$DESTDIR$PREFIX/sps" <<WRAPPER
#!/bin/sh
export SPS_CONFIG="\${SPS_CONFIG:-$ETC/station.yaml}" SPS_VAR="\${SPS_VAR:-$STATE/var}" SPS_SECRETS="\${SPS_SECRETS:-$ETC/secrets}"
# The bridges' lock for the Bluetooth adapter, once one of them has made it: from then on they take turns with a person, too.
[ ! -w /run/sps-bluetooth/lock ] || export SPS_BLUETOOTH_LOCK="\${SPS_BLUETOOTH_LOCK:-/run/sps-bluetooth/lock}"
exec "$PREFIX/venv/bin/sps" "\$@"
WRAPPER
chmod 0755 "$DESTDIR$PREFIX/sps"
cp "$here"/docs/*.md "$DESTDIR$PREFIX/docs/"

fill() { sed -e "s|@PREFIX@|$PREFIX|g; s|@ETC@|$ETC|g; s|@STATE@|$STATE|g; s|@STATE_NAME@|${STATE#/var/lib/}|g" "$1"; }
for unit in sps@.service sps.target sps-broker.service; do fill "$here/systemd/$unit" >"$UNITS/$unit"; done
for folder in "$here"/systemd/*.service.d; do
    install -d "$UNITS/${folder##*/}"
    for part in "$folder"/*.conf; do fill "$part" >"$UNITS/${folder##*/}/${part##*/}"; done
done
[ -e "$DESTDIR$ETC/station.yaml" ] || cp "$here/config/station.yaml" "$DESTDIR$ETC/station.yaml"
fill "$here/systemd/mosquitto.conf" >"$DESTDIR$ETC/mosquitto.conf"
[ -z "$DESTDIR" ] || { echo "installed into $DESTDIR; nothing was started"; exit 0; }

chown -R sps:sps "$ETC"
systemctl daemon-reload
cat <<TOLD
Installed. The station file is $ETC/station.yaml; as shipped it is the simulated station.

  check it   sudo -u sps $PREFIX/sps check-config $ETC/station.yaml
  start it   systemctl enable --now sps.target
  look       systemctl status 'sps*'   journalctl -u 'sps*' -f   http://127.0.0.1:8080

After an upgrade: systemctl restart sps.target
TOLD
