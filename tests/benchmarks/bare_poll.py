"""The bare limit of watching a station: poll each device once a second and publish what it says. Arguments: broker port, URLs."""

import sys
import time

import paho.mqtt.client as mqtt
import requests
from paho.mqtt.enums import CallbackAPIVersion


def main(broker_port: int, urls: list[str]) -> None:
    """Poll and publish until killed."""
    session = requests.Session()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker_port)
    client.loop_start()
    print("ready", flush=True)
    due = time.monotonic()
    while True:
        for number, url in enumerate(urls):
            client.publish(f"bench/reading/{number}", session.get(url, timeout=5).content)
        due += 1
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
