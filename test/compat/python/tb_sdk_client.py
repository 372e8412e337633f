"""The platform's own Python SDK for devices, as it comes; arguments: host, MQTT port, address of HTTP."""

import hashlib
import sys
import threading
import time

import driven
from tb_device_http import TBHTTPDevice
from tb_device_mqtt import TBDeviceMqttClient, TBFirmwareState

host, port, http = sys.argv[1], int(sys.argv[2]), sys.argv[3]
patience = 15
chunk_size = 1000
clients = {}


def wait_until(holds, what):
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


def connect(token):
    client = clients["mqtt"] = TBDeviceMqttClient(host, port, username=token, chunk_size=chunk_size)
    client.connect()
    # It holds back what it is told to send until the server has told its limits.
    wait_until(lambda: client.rate_limits_received, "no session limits")
    client.subscribe_to_attribute("interval", lambda content, _error: driven.event("attribute", content))
    client.set_server_side_rpc_request_handler(lambda id, body: driven.event("call", [id, body]))
    return client.max_payload_size


def acknowledged(info):
    return info.get()


def ask_attributes(client_keys, shared_keys):
    answered = threading.Event()
    answer = []

    def on_answer(content, error):
        answer.append(content if error is None else str(error))
        answered.set()

    clients["mqtt"].request_attributes(client_keys, shared_keys, callback=on_answer)
    if not answered.wait(patience):
        raise TimeoutError("no attributes")
    return answer[0]


def update_firmware():
    def received(client, data, version):
        client.update_firmware_info(title=client.firmware_info["fw_title"], version=version, state=TBFirmwareState.UPDATED)
        driven.event("firmware", [version, hashlib.sha256(data).hexdigest()])

    clients["mqtt"].set_on_firmware_received_callback(received)
    clients["mqtt"].get_firmware_update()


def disconnect():
    clients["mqtt"].disconnect()
    clients["mqtt"].stop()


def http_connect(token):
    clients["http"] = TBHTTPDevice(http, token)
    return clients["http"].test_connection()


driven.serve(
    {
        "connect": connect,
        "telemetry": lambda values: acknowledged(clients["mqtt"].send_telemetry(values)),
        "attributes": lambda values: acknowledged(clients["mqtt"].send_attributes(values)),
        "ask_attributes": ask_attributes,
        "reply": lambda id, body: clients["mqtt"].send_rpc_reply(id, body, wait_for_publish=True),
        "update_firmware": update_firmware,
        "claim": lambda secret, ms: acknowledged(clients["mqtt"].claim(secret, ms)),
        "disconnect": disconnect,
        "http_connect": http_connect,
        "http_telemetry": lambda values: clients["http"].send_telemetry(values, queued=False),
        "http_attributes": lambda values: clients["http"].send_attributes(values),
        "http_ask_attributes": lambda: clients["http"].request_attributes(),
        "http_subscribe": lambda what: clients["http"].subscribe(what, lambda data: driven.event(what, data)),
    }
)
