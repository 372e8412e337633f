import { rootCertificates } from "node:tls";
import { bareCertificate, credentialsHash, type DeviceProfileDocument, type Draft } from "@heddle/plugin-sdk";
import { describe, expect, it } from "vitest";
import { checkProfile } from "./profile-rules.ts";

const draft = (more: Draft<DeviceProfileDocument> = {}): Draft<DeviceProfileDocument> => ({
  name: "p",
  type: "DEFAULT",
  transportType: "DEFAULT",
  provisionType: "DISABLED",
  profileData: {},
  ...more,
});
const chain = (provisionConfiguration: object) =>
  draft({ provisionType: "X509_CERTIFICATE_CHAIN", profileData: { provisionConfiguration } });

/** CN=Plant CA, known to nobody; base64 of the DER. */
const authority = [
  "MIIBfDCCASOgAwIBAgIUHHBhvRfN/2YiEGjcvzG1ZMOt7ukwCgYIKoZIzj0EAwIwEzERMA8GA1UEAwwIUGxhbnQgQ0EwIBcNMjYx",
  "MjAxMTAwMzU5WhgPMjEyNjExMDcxMDAzNTlaMBMxETAPBgNVBAMMCFBsYW50IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
  "3nQD19hhBSPmGjvzoKfIy+v+haQmWr2JPrAgTT1Rk0fRFnKTjRrLT3OzBJjL79ue0xsySAnsmDnoLJWtPq9rhKNTMFEwHQYDVR0O",
  "BBYEFGBZqSUn61/maiuCP2q41AkZfOceMB8GA1UdIwQYMBaAFGBZqSUn61/maiuCP2q41AkZfOceMA8GA1UdEwEB/wQFMAMBAf8w",
  "CgYIKoZIzj0EAwIDRwAwRAIgIIxxwNCrA6rHekduQpSKj0Vd/VN/w+Ladi+cx2upEWYCID14ncKclsAFuAjQstVbDSbFrKmwjESb",
  "P65OnxwHJt8J",
].join("");

describe("device profile rules", () => {
  it("know the queues and that there are no dashboards", () => {
    expect(() => checkProfile(draft({ defaultQueueName: "Nope" }))).toThrow("referencing to non-existent queue!");
    expect(checkProfile(draft({ defaultQueueName: "HighPriority" })).defaultQueueName).toBe("HighPriority");
    expect(() => checkProfile(draft({ defaultDashboardId: "x" }))).toThrow("Can't assign non-existent dashboard!");
  });

  it("fill alarm rules in and refuse two of one type", () => {
    const predicate = { type: "NUMERIC", operation: "GREATER", value: { defaultValue: 5 } };
    const condition = { condition: [{ key: { type: "TIME_SERIES", key: "t" }, valueType: "NUMERIC", predicate }] };
    const alarm = { id: "a", alarmType: "High", createRules: { CRITICAL: { condition } } };
    const [stored] = checkProfile(draft({ profileData: { alarms: [alarm] } })).profileData["alarms"] as [object];
    expect(stored).toMatchObject({
      clearRule: null,
      propagateToTenant: false,
      createRules: {
        CRITICAL: {
          schedule: null,
          condition: {
            condition: [
              { value: null, predicate: { value: { defaultValue: 5, userValue: null, dynamicValue: null } } },
            ],
          },
        },
      },
    });
    expect(() => checkProfile(draft({ profileData: { alarms: [alarm, { ...alarm, id: "b" }] } }))).toThrow(
      'the same alarm rule types: "High"!',
    );
    expect(() => checkProfile(draft({ profileData: { alarms: [1] } }))).toThrow("list of objects");
  });

  it("read Protobuf schemas when they are saved (rest-semantics 15.6)", () => {
    const transportConfiguration = {
      type: "MQTT",
      transportPayloadTypeConfiguration: {
        transportPayloadType: "PROTOBUF",
        deviceTelemetryProtoSchema: "nonsense",
        deviceAttributesProtoSchema: "x",
      },
    };
    expect(() => checkProfile(draft({ transportType: "MQTT", profileData: { transportConfiguration } }))).toThrow(
      "failed to parse attributes proto schema due to: Syntax error in :1:1: unexpected label: x",
    );
  });
});

describe("a profile with chain provisioning (device-api 1.6)", () => {
  const pem = (base64: string) => `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;

  it("has the hash of its certificate as key, however the certificate is written", () => {
    const keys = [pem(authority), authority, `${pem(authority)}${pem(authority)}`].map(
      (provisionDeviceSecret) => checkProfile(chain({ provisionDeviceSecret })).provisionDeviceKey,
    );
    expect(keys).toEqual(Array.from({ length: 3 }, () => credentialsHash(authority)));
  });

  it("refuses authorities that everybody trusts, what is no certificate, and patterns that cannot be used", () => {
    const wellKnown = bareCertificate(rootCertificates[0] ?? "");
    expect(() => checkProfile(chain({ provisionDeviceSecret: wellKnown }))).toThrow("well known root CA");
    expect(() => checkProfile(chain({ provisionDeviceSecret: authority.slice(40) }))).toThrow("can't be read");
    expect(() => checkProfile(chain({}))).toThrow("should be specified");
    const bad = chain({ provisionDeviceSecret: authority, certificateRegExPattern: "(" });
    expect(() => checkProfile(bad)).toThrow("pattern can't be used");
  });
});
