"""The platform's own Python SDK for gateways, as it comes; arguments: host, MQTT port."""

import sys
import threading
import time

import driven
from tb_device_mqtt import TBDeviceMqttClient
from tb_gateway_mqtt import TBGatewayMqttClient

host, port = sys.argv[1], int(sys.argv[2])
patience = 15
clients = {}


def wait_until(holds, what):
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


def connect(token):
    gateway = clients["gateway"] = TBGatewayMqttClient(host, port, username=token)
    gateway.connect()
    wait_until(lambda: gateway.rate_limits_received, "no session limits")
    wait_until(lambda: not gateway.get_subscriptions_in_progress(), "no subscriptions")
    gateway.gw_set_server_side_rpc_request_handler(lambda _gateway, content: driven.event("call", content))


def connect_device(name, profile):
    gateway = clients["gateway"]
    code = gateway.gw_connect_device(name, profile).get()
    gateway.gw_subscribe_to_all_device_attributes(name, lambda content: driven.event("attributes", content))
    return code


def ask(request, name, keys):
    answered = threading.Event()
    answer = []

    def on_answer(content, error):
        answer.append(content if error is None else str(error))
        answered.set()

    request(name, keys, on_answer)
    if not answered.wait(patience):
        raise TimeoutError("no attributes")
    return answer[0]


def disconnect():
    clients["gateway"].disconnect()
    clients["gateway"].stop()


driven.serve(
    {
        "connect": connect,
        "connect_device": connect_device,
        "disconnect_device": lambda name: clients["gateway"].gw_disconnect_device(name).get(),
        "telemetry": lambda name, values: clients["gateway"].gw_send_telemetry(name, values).get(),
        "attributes": lambda name, values: clients["gateway"].gw_send_attributes(name, values).get(),
        "ask_shared": lambda name, keys: ask(clients["gateway"].gw_request_shared_attributes, name, keys),
        "ask_client": lambda name, keys: ask(clients["gateway"].gw_request_client_attributes, name, keys),
        "reply": lambda name, id, body: clients["gateway"].gw_send_rpc_reply(name, id, body).get(),
        "disconnect": disconnect,
        "provision": lambda name, key, secret: TBDeviceMqttClient.provision(
            host, key, secret, device_name=name, port=port
        ),
    }
)
