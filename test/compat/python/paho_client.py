"""paho-mqtt as it comes; arguments: host, port, version (4 is 3.1.1), for TLS whom to trust."""

import sys
import threading

import driven
import paho.mqtt.client as mqtt

host, port, version = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
patience = 10
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="paho", protocol=version)
if len(sys.argv) > 4:
    client.tls_set(ca_certs=sys.argv[4])
granted = {}
heard = threading.Condition()


def on_message(_client, _data, message):
    driven.event("message", [message.topic, message.payload.decode(), message.qos])


def on_subscribe(_client, _data, mid, codes, _properties):
    with heard:
        granted[mid] = [code.value for code in codes]
        heard.notify_all()


def connect(username, password=None):
    connected = threading.Event()
    outcome = []

    def on_connect(_client, _data, _flags, code, _properties):
        outcome.append(code.value)
        connected.set()

    client.on_connect = on_connect
    client.username_pw_set(username, password)
    client.connect(host, port, keepalive=60)
    client.loop_start()
    if not connected.wait(patience):
        raise TimeoutError("no CONNACK")
    return outcome[0]


def subscribe(topics):
    _, mid = client.subscribe([(topic, 1) for topic in topics])
    with heard:
        if not heard.wait_for(lambda: mid in granted, patience):
            raise TimeoutError("no SUBACK")
        return granted.pop(mid)


def publish(topic, payload, qos):
    info = client.publish(topic, payload, qos)
    info.wait_for_publish(patience)
    if not info.is_published():
        raise TimeoutError("not acknowledged")


def disconnect():
    client.disconnect()
    client.loop_stop()


client.on_message = on_message
client.on_subscribe = on_subscribe
client.on_disconnect = lambda _client, _data, flags, code, _properties: driven.event(
    "disconnected", [flags.is_disconnect_packet_from_server, code.value]
)
driven.serve({"connect": connect, "subscribe": subscribe, "publish": publish, "disconnect": disconnect})
