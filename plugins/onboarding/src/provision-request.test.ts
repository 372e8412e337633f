import { describe, expect, it } from "vitest";
import { readProvisionRequest } from "./provision-request.ts";

const read = (text: string) => readProvisionRequest(Buffer.from(text));
const codeOf = (text: string) => {
  try {
    read(text);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "read";
};
const proof = '"provisionDeviceKey":"k","provisionDeviceSecret":"s"';

describe("a provisioning request", () => {
  it("is read leniently, and null counts as absent (device-api 6.1)", () => {
    expect(read("{provisionDeviceKey:k,provisionDeviceSecret:s,deviceName:null,token:null,gateway:null}")).toEqual({
      provisionDeviceKey: "k",
      provisionDeviceSecret: "s",
    });
    expect(
      read(
        `{${proof},"deviceName":"Pump 7","credentialsType":"MQTT_BASIC","clientId":"c","username":"u","gateway":true}`,
      ),
    ).toEqual({
      provisionDeviceKey: "k",
      provisionDeviceSecret: "s",
      deviceName: "Pump 7",
      credentialsType: "MQTT_BASIC",
      clientId: "c",
      username: "u",
      gateway: true,
    });
  });

  it("HTTP-23 is told apart: no JSON object, or one that lacks something", () => {
    for (const text of ["", "[]", "{", "5"]) expect(codeOf(text)).toBe("onboarding.json");
    const lacking = [
      "{}",
      '{"provisionDeviceKey":"k"}',
      '{"provisionDeviceKey":null,"provisionDeviceSecret":"s"}',
      `{${proof},"credentialsType":"NOPE"}`,
      `{${proof},"deviceName":{}}`,
      `{${proof},"gateway":"yes"}`,
      `{${proof},"hash":"${"x".repeat(64 * 1024 + 1)}"}`,
    ];
    for (const text of lacking) expect(codeOf(text)).toBe("onboarding.request");
  });

  it("shows nothing of what it held when it is refused", () => {
    const secret = "s3cret";
    const text = `{"provisionDeviceKey":{},"provisionDeviceSecret":"${secret}"}`;
    expect(() => read(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining(secret) }));
  });
});
