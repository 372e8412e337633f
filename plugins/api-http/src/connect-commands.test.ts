import type { DeviceCredentialsDocument, DeviceProfileDocument } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { connectCommands } from "./connect-commands.ts";

const ports = { mqtt: 1883, mqtts: 0, coap: 5683, coaps: 0 };
const token = { credentialsType: "ACCESS_TOKEN", credentialsId: "T1" } as DeviceCredentialsDocument;
const commands = (
  credentials: Partial<DeviceCredentialsDocument> = {},
  profile: Partial<DeviceProfileDocument> = {},
  connectivity: object = {},
) =>
  connectCommands({
    credentials: { ...token, ...credentials } as DeviceCredentialsDocument,
    profile: { transportType: "DEFAULT", profileData: {}, ...profile } as DeviceProfileDocument,
    connectivity: { ...ports, ...connectivity },
    base: "http://iot.example:8080",
  });

describe("commands that try a device (rest-semantics 15.12)", () => {
  it("are one for each protocol that the profile lets in", () => {
    expect(commands()).toEqual({
      http: {
        http: 'curl -v -X POST http://iot.example:8080/api/v1/T1/telemetry --header Content-Type:application/json --data "{temperature:25}"',
      },
      mqtt: {
        mqtt: 'mosquitto_pub -d -q 1 -h iot.example -p 1883 -t v1/devices/me/telemetry -u T1 -m "{temperature:25}"',
        docker: { mqtt: expect.stringMatching(/^docker run .* mosquitto_pub -d -q 1 -h iot\.example/) },
      },
      coap: {
        coap: 'coap-client -v 6 -m POST -t "application/json" -e "{temperature:25}" coap://iot.example:5683/api/v1/T1/telemetry',
      },
    });
    const transportConfiguration = { deviceTelemetryTopic: "a/b" };
    const mqtt = commands({}, { transportType: "MQTT", profileData: { transportConfiguration } });
    expect(Object.keys(mqtt)).toEqual(["mqtt"]);
    expect(mqtt["mqtt"]?.["mqtt"]).toContain("-t a/b ");
    expect(Object.keys(commands({}, { transportType: "COAP" }))).toEqual(["coap"]);
  });

  it("show what the device proves itself with", () => {
    const value = JSON.stringify({ clientId: "c", userName: "u", password: null });
    const basic = commands({ credentialsType: "MQTT_BASIC", credentialsValue: value });
    expect(Object.keys(basic)).toEqual(["mqtt"]);
    expect(basic["mqtt"]?.["mqtt"]).toContain("-i c -u u -m");
    expect(commands({ credentialsType: "X509_CERTIFICATE" })).toEqual({});
    const tls = commands({ credentialsType: "X509_CERTIFICATE" }, {}, { mqtts: 8883, coaps: 5684, host: "h" });
    expect(tls["mqtt"]?.["mqtts"]).toContain("-h h -p 8883");
    expect(tls["coap"]).toEqual({ coaps: expect.stringContaining("coaps://h:5684/api/v1/telemetry") });
    expect(commands({ credentialsType: "LWM2M_CREDENTIALS" })).toEqual({});
  });

  it("offer no port that nobody listens to", () => {
    expect(Object.keys(commands({}, {}, { mqtt: 0, coap: 0 }))).toEqual(["http"]);
  });

  it("let no credentials run in somebody's shell", () => {
    const { mqtt, http } = commands({ credentialsId: "$(rm -rf ~)'" });
    expect(mqtt?.["mqtt"]).toContain("-u '$(rm -rf ~)'\\''' -m");
    expect(http?.["http"]).toContain("/%24(rm%20-rf%20~)'\\''/telemetry'");
  });
});
