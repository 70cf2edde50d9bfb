"""The bare limit of a reaction: a paho subscriber that calls `requests` straight away. Arguments: broker port, relay port."""

import sys

import paho.mqtt.client as mqtt
import requests
from paho.mqtt.enums import CallbackAPIVersion

TOPIC = "bench/bare"


def main(broker_port: int, relay_port: int) -> None:
    """Switch the relay as each message says, `on` or `off`."""
    session = requests.Session()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def switch(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        params = {"id": 0, "on": message.payload == b"on"}
        session.post(f"http://127.0.0.1:{relay_port}/rpc", json={"id": 1, "method": "Switch.Set", "params": params}, timeout=5)

    client.on_message = switch
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.connect("127.0.0.1", broker_port)
    client.subscribe(TOPIC, 1)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
