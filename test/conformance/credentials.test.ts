import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeNeeding } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { Peer } from "../../plugins/transport-mqtt/testing/peer.ts";
import { onPath } from "../e2e/on-path.ts";
import { MqttDevice } from "./mqtt.ts";
import { type Level, row, rowOnBoth } from "./row.ts";
import { Target } from "./target.ts";
import { eventually, type TestDevice, TestTenant } from "./tenant.ts";

const H = (text: string) => createHash("sha3-256").update(text).digest("hex");

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

describeNeeding("openssl", onPath("openssl"), (openssl) => {
  describe.concurrent("device-api 9.2, credentials", () => {
    const folder = mkdtempSync(join(tmpdir(), "heddle-credentials-"));
    let target: Target;
    let tenant: TestTenant;
    let authority: Certificate;

    function certificate(name: string, days = "2", signer?: Certificate): Certificate {
      const path = (end: string) => join(folder, `${name.replace(/\W/g, "_")}.${end}`);
      const run = (...args: string[]) => execFileSync(openssl, args, { stdio: "pipe" });
      const made = { cert: path("pem"), key: path("key") };
      const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", made.key];
      if (signer === undefined) run("req", "-x509", ...ec, "-subj", `/CN=${name}`, "-days", days, "-out", made.cert);
      else {
        run("req", ...ec, "-subj", `/CN=${name}`, "-out", path("csr"));
        run(
          "x509",
          "-req",
          "-in",
          path("csr"),
          "-CA",
          signer.cert,
          "-CAkey",
          signer.key,
          "-CAcreateserial",
          "-days",
          days,
          "-out",
          made.cert,
        );
      }
      return made;
    }

    beforeAll(async () => {
      const server = certificate("localhost");
      authority = certificate("authority");
      const tls = "plugins.mqtt.config.tls";
      target = await Target.start({
        set: { [`${tls}.cert`]: server.cert, [`${tls}.key`]: server.key, [`${tls}.port`]: "0" },
      });
      tenant = await TestTenant.create(target);
    }, 120_000);
    afterAll(async () => {
      await target?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    const basic = (value: object) =>
      tenant.device({ credentials: { credentialsType: "MQTT_BASIC", credentialsValue: JSON.stringify(value) } });
    const pem = ({ cert }: Certificate) => readFileSync(cert, "utf8");
    const withCertificate = (of: Certificate) =>
      tenant.device({ credentials: { credentialsType: "X509_CERTIFICATE", credentialsValue: pem(of) } });

    /** The code of the CONNACK, and whether the connection ended. */
    async function connect(level: Level, how: object, tls?: { who?: Certificate; chain?: Certificate }) {
      const options =
        tls === undefined
          ? undefined
          : {
              rejectUnauthorized: false,
              ...(tls.who === undefined
                ? {}
                : {
                    cert: pem(tls.who) + (tls.chain === undefined ? "" : pem(tls.chain)),
                    key: readFileSync(tls.who.key),
                  }),
            };
      const peer = new Peer(options === undefined ? target.mqtt : target.mqtts, level, options);
      peer.connect(how);
      const { returnCode, reasonCode } = (await peer.next("connack", 10_000)) as {
        returnCode?: number;
        reasonCode?: number;
      };
      const code = returnCode ?? reasonCode ?? 0;
      if (code !== 0) await peer.closed();
      return { code, peer };
    }
    const outcome = async (level: Level, how: object, tls?: Parameters<typeof connect>[2]) => {
      const { code, peer } = await connect(level, how, tls);
      peer.destroy();
      return code;
    };
    const refused = (level: Level, v3: number, v5: number) => (level === 5 ? v5 : v3);
    const password = (text: string) => ({ password: Buffer.from(text) });

    rowOnBoth("CRED-01", "the token as user name", async (level) => {
      const { token } = await tenant.device();
      expect(await outcome(level, { username: token })).toBe(0);
    });
    rowOnBoth("CRED-02", "password and client id beside it do not matter", async (level) => {
      const { token } = await tenant.device();
      expect(await outcome(level, { username: token, ...password("any"), clientId: "any" })).toBe(0);
    });
    rowOnBoth("CRED-03", "an unknown token", async (level) => {
      const { code, peer } = await connect(level, { username: "nobody-knows" });
      expect(code).toBe(refused(level, 5, 0x86));
      // The reason is none that MQTT 5 allows in a DISCONNECT: the reference sends it, and so do we.
      if (level === 5) expect(peer.hex.endsWith("e0028600")).toBe(true);
    });
    rowOnBoth("CRED-04", "unknown user name with password", async (level) => {
      const how = { username: "nobody-knows", ...password("p"), clientId: "c" };
      expect(await outcome(level, how)).toBe(refused(level, 5, 0x86));
    });
    rowOnBoth("CRED-05", "nothing but an unknown client id", async (level) => {
      expect(await outcome(level, { clientId: "nobody-knows" })).toBe(refused(level, 2, 0x85));
    });
    rowOnBoth("CRED-06", "nothing at all", async (level) => {
      expect(await outcome(level, { clientId: "" })).toBe(refused(level, 5, 0x87));
    });
    rowOnBoth("CRED-07", "user name and password", async (level) => {
      await basic({ userName: `u7-${level}`, password: "p" });
      expect(await outcome(level, { username: `u7-${level}`, ...password("p"), clientId: "any" })).toBe(0);
    });
    rowOnBoth("CRED-08", "a wrong password", async (level) => {
      await basic({ userName: `u8-${level}`, password: "p" });
      expect(await outcome(level, { username: `u8-${level}`, ...password("q") })).toBe(refused(level, 5, 0x86));
    });
    rowOnBoth("CRED-09", "no password", async (level) => {
      await basic({ userName: `u9-${level}`, password: "p" });
      expect(await outcome(level, { username: `u9-${level}` })).toBe(refused(level, 5, 0x86));
    });
    rowOnBoth("CRED-10", "a client id alone", async (level) => {
      await basic({ clientId: `c10-${level}` });
      expect(await outcome(level, { clientId: `c10-${level}` })).toBe(0);
    });
    rowOnBoth("CRED-11", "the right user with another client id", async (level) => {
      await basic({ clientId: `c11-${level}`, userName: `u11-${level}` });
      expect(await outcome(level, { clientId: "other", username: `u11-${level}` })).not.toBe(0);
    });
    rowOnBoth("CRED-12", "all three", async (level) => {
      await basic({ clientId: `c12-${level}`, userName: `u12-${level}`, password: "p" });
      expect(await outcome(level, { clientId: `c12-${level}`, username: `u12-${level}`, ...password("p") })).toBe(0);
    });
    rowOnBoth("CRED-13", "a user name without a stored password takes any", async (level) => {
      await basic({ userName: `u13-${level}` });
      expect(await outcome(level, { username: `u13-${level}`, ...password("any") })).toBe(0);
    });

    const credentialsOf = ({ id }: TestDevice) => tenant.rest.get(`/api/device/${id}/credentials`);
    row("CRED-14", "ids of basic credentials", async () => {
      const idOf = async (value: object) => (await credentialsOf(await basic(value))).credentialsId;
      expect(await idOf({ clientId: "c14" })).toBe(H("c14"));
      expect(await idOf({ userName: "u14" })).toBe("u14");
      expect(await idOf({ clientId: "c14", userName: "u14" })).toBe(H("c14|u14"));
    });
    row("CRED-15", "a password needs a user name", async () => {
      await expect(basic({ clientId: "c15", password: "p" })).rejects.toThrow(
        "Password cannot be specified along with client id",
      );
    });

    rowOnBoth("CRED-16", "a certificate saved from PEM", async (level) => {
      const who = certificate(`known16-${level}`);
      await withCertificate(who);
      expect(await outcome(level, { username: "ignored" }, { who })).toBe(0);
    });
    row("CRED-17", "its id is the hash of the base64 of its DER", async () => {
      const who = certificate("known17");
      const { credentialsId } = await credentialsOf(await withCertificate(who));
      expect(credentialsId).toBe(H(new X509Certificate(pem(who)).raw.toString("base64")));
    });
    rowOnBoth("CRED-18", "an expired one", async (level) => {
      const key = join(folder, `expired-${level}.key`);
      const cert = join(folder, `expired-${level}.pem`);
      const ends = ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"];
      try {
        execFileSync(
          openssl,
          [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            key,
            "-subj",
            `/CN=expired-${level}`,
            ...ends,
            "-out",
            cert,
          ],
          { stdio: "pipe" },
        );
      } catch {
        // Older versions cannot set the dates of a self-signed certificate; their `ca` command can.
        expired(openssl, { folder, name: `expired-${level}`, key, cert });
      }
      await withCertificate({ cert, key });
      expect(await outcome(level, {}, { who: { cert, key } })).toBe(refused(level, 5, 0x87));
    });
    rowOnBoth("CRED-19", "an unknown one, whatever token is shown beside it", async (level) => {
      const { token } = await tenant.device();
      const who = certificate(`unknown19-${level}`);
      expect(await outcome(level, { username: token }, { who })).toBe(refused(level, 5, 0x87));
    });
    rowOnBoth("CRED-20", "TLS without a certificate, with a token", async (level) => {
      const { token } = await tenant.device();
      expect(await outcome(level, { username: token }, {})).toBe(0);
    });

    const chainProfile = (ca: Certificate, create: boolean) =>
      tenant.profile({
        provision: {
          type: "X509_CERTIFICATE_CHAIN",
          provisionDeviceSecret: pem(ca),
          certificateRegExPattern: "^([^@]+)@plant$",
          allowCreateNewDevicesByX509Certificate: create,
        },
      });
    row("CRED-21", "a chain makes the device that its leaf names", async () => {
      await chainProfile(authority, true);
      const who = certificate("pump21@plant", "2", authority);
      expect(await outcome(5, {}, { who, chain: authority })).toBe(0);
      expect((await tenant.deviceByName("pump21")).name).toBe("pump21");
    });
    row("CRED-22", "a renewed leaf of the same name replaces the former", async () => {
      const ca = certificate("authority22");
      await chainProfile(ca, true);
      const [first, second] = ["a", "b"].map((name) => {
        const made = certificate("pump22@plant", "2", ca);
        for (const end of ["cert", "key"] as const)
          writeFileSync(join(folder, `22${name}.${end}`), readFileSync(made[end]));
        return { cert: join(folder, `22${name}.cert`), key: join(folder, `22${name}.key`) };
      });
      expect(await outcome(5, {}, { who: first!, chain: ca })).toBe(0);
      const before = await tenant.deviceByName("pump22");
      expect(await outcome(5, {}, { who: second!, chain: ca })).toBe(0);
      expect((await tenant.deviceByName("pump22")).id.id).toBe(before.id.id);
      const { credentialsId } = await tenant.rest.get(`/api/device/${before.id.id}/credentials`);
      expect(credentialsId).toBe(H(new X509Certificate(pem(second!)).raw.toString("base64")));
    });
    rowOnBoth("CRED-23", "a name that does not fit the pattern", async (level) => {
      const ca = certificate(`authority23-${level}`);
      await chainProfile(ca, true);
      const who = certificate(`pump23-${level}`, "2", ca);
      expect(await outcome(level, {}, { who, chain: ca })).toBe(refused(level, 5, 0x87));
      expect((await tenant.rest.get("/api/tenant/devices?pageSize=10&page=0&textSearch=pump23")).totalElements).toBe(0);
    });
    rowOnBoth("CRED-24", "a new device where none may be made", async (level) => {
      const ca = certificate(`authority24-${level}`);
      await chainProfile(ca, false);
      const who = certificate(`pump24-${level}@plant`, "2", ca);
      expect(await outcome(level, {}, { who, chain: ca })).toBe(refused(level, 5, 0x87));
    });

    row("MQTT-PRV-09", "a provisioned certificate connects over TLS", async () => {
      const who = certificate("provisioned");
      const provisionKey = `x509-${Date.now()}`;
      const provision = { type: "ALLOW_CREATE_NEW_DEVICES", provisionDeviceSecret: "s" };
      await tenant.profile({ provision, provisionKey });
      using peer = await MqttDevice.connect(target, { level: 5, username: "provision" });
      const hash = pem(who);
      const request = {
        provisionDeviceKey: provisionKey,
        provisionDeviceSecret: "s",
        credentialsType: "X509_CERTIFICATE",
        hash,
      };
      await peer.say("/provision/request", JSON.stringify(request));
      expect(JSON.parse((await peer.hear()).text)).toMatchObject({
        status: "SUCCESS",
        credentialsType: "X509_CERTIFICATE",
      });
      expect(await outcome(5, {}, { who })).toBe(0);
    });

    rowOnBoth("CRED-25", "a device of a CoAP profile", async (level) => {
      const { token } = await tenant.device({ profileId: await tenant.profile({ transport: { type: "COAP" } }) });
      expect(await outcome(level, { username: token })).toBe(refused(level, 3, 0x88));
    });
    rowOnBoth(
      "CRED-26",
      "a changed token ends the session; the old one is refused, the new one taken",
      async (level) => {
        const device = await tenant.device();
        using peer = await MqttDevice.connect(target, { level, username: device.token });
        const credentials = await credentialsOf(device);
        await tenant.rest.post("/api/device/credentials", { ...credentials, credentialsId: `${device.token}-2` });
        if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x98);
        await peer.closed();
        await eventually(
          () => outcome(level, { username: device.token }),
          (code) => code === refused(level, 5, 0x86),
        );
        expect(await outcome(level, { username: `${device.token}-2` })).toBe(0);
      },
    );
    rowOnBoth("CRED-27", "a token that is made after it was tried", async (level) => {
      const token = `later-${level}-${Date.now()}`;
      expect(await outcome(level, { username: token })).not.toBe(0);
      await tenant.device({ credentials: { credentialsType: "ACCESS_TOKEN", credentialsId: token } });
      expect(await outcome(level, { username: token })).toBe(0);
    });
    rowOnBoth("CRED-28", "a deleted device is disconnected", async (level) => {
      const device = await tenant.device();
      using peer = await MqttDevice.connect(target, { level, username: device.token });
      await tenant.rest.delete(`/api/device/${device.id}`);
      if (level === 5) expect((await peer.next("disconnect")).reasonCode).toBe(0x98);
      await peer.closed();
    });
  });
});

function expired(
  openssl: string,
  { folder, name, key, cert }: { folder: string; name: string; key: string; cert: string },
) {
  const csr = join(folder, `${name}.csr`);
  const config = join(folder, `${name}.cnf`);
  writeFileSync(join(folder, `${name}.txt`), "");
  writeFileSync(join(folder, `${name}.srl`), "01");
  writeFileSync(
    config,
    `[ca]\ndefault_ca=d\n[d]\ndatabase=${folder}/${name}.txt\nserial=${folder}/${name}.srl\nnew_certs_dir=${folder}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n`,
  );
  const run = (...args: string[]) => execFileSync(openssl, args, { stdio: "pipe" });
  run(
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    key,
    "-subj",
    `/CN=${name}`,
    "-out",
    csr,
  );
  run(
    "ca",
    "-batch",
    "-selfsign",
    "-config",
    config,
    "-keyfile",
    key,
    "-in",
    csr,
    "-startdate",
    "20200101000000Z",
    "-enddate",
    "20200102000000Z",
    "-out",
    cert,
  );
}
