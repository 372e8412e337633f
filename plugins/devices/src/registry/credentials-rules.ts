import { randomBytes } from "node:crypto";
import {
  bareCertificate,
  type CredentialsDraft,
  credentialsHash,
  type DeviceCredentialsDocument,
  invalid,
} from "@heddle/plugin-sdk";

type Content = Pick<DeviceCredentialsDocument, "credentialsType" | "credentialsId" | "credentialsValue">;

const tokenLength = 20;
const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/** A fresh access token: 20 letters and digits. */
export function drawToken(): string {
  const fair = 256 - (256 % alphabet.length);
  let token = "";
  while (token.length < tokenLength) {
    for (const byte of randomBytes(tokenLength)) {
      if (byte < fair && token.length < tokenLength) token += alphabet[byte % alphabet.length];
    }
  }
  return token;
}

/** Credentials as they are stored; faults with the texts of rest-semantics 6.11 (device-api 1.1–1.5). */
export function checkCredentials(draft: CredentialsDraft): Content {
  switch (draft.credentialsType) {
    case undefined:
    case null:
      throw invalid("Device credentials type should be specified");
    case "ACCESS_TOKEN":
      if (draft.credentialsId === undefined || draft.credentialsId === null || draft.credentialsId === "") {
        throw invalid("Device credentials id should be specified!");
      }
      return { credentialsType: "ACCESS_TOKEN", credentialsId: draft.credentialsId, credentialsValue: null };
    case "MQTT_BASIC":
      return basic(draft.credentialsValue);
    case "X509_CERTIFICATE": {
      const certificate = bareCertificate(draft.credentialsValue ?? "");
      return {
        credentialsType: "X509_CERTIFICATE",
        credentialsId: credentialsHash(certificate),
        credentialsValue: certificate,
      };
    }
    case "LWM2M_CREDENTIALS":
      return lwm2m(draft.credentialsValue);
    default:
      throw invalid(`Device credentials type ${String(draft.credentialsType).slice(0, 40)} is not supported`);
  }
}

function object(text: string | null | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    // Not JSON: the caller says which text was expected.
    return undefined;
  }
}

const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

function basic(value: string | null | undefined): Content {
  const given = object(value);
  if (given === undefined) throw invalid("Invalid credentials body for simple mqtt credentials!");
  const clientId = textOf(given["clientId"]);
  const userName = textOf(given["userName"]);
  const password = textOf(given["password"]);
  if (clientId === null && userName === null) throw invalid("Both mqtt client id and user name are empty!");
  if (userName === null && password !== null) throw invalid("Password cannot be specified along with client id");
  const id =
    clientId === null
      ? (userName as string)
      : credentialsHash(userName === null ? clientId : `${clientId}|${userName}`);
  return {
    credentialsType: "MQTT_BASIC",
    credentialsId: id,
    credentialsValue: JSON.stringify({ clientId, userName, password }),
  };
}

function lwm2m(value: string | null | undefined): Content {
  const given = object(value);
  const client = given?.["client"] as Record<string, unknown> | undefined;
  const bootstrap = given?.["bootstrap"] as Record<string, unknown> | undefined;
  if (client === undefined || bootstrap === undefined) throw invalid("LwM2M credentials must be specified!");
  const mode = client["securityConfigClientMode"];
  const endpoint = textOf(client["endpoint"]);
  if (endpoint === null) throw invalid("LwM2M client endpoint must be specified!");
  const certificate = textOf(client["cert"]);
  const id =
    mode === "PSK"
      ? textOf(client["identity"])
      : mode === "X509" && certificate !== null
        ? credentialsHash(certificate)
        : endpoint;
  if (id === null) throw invalid("LwM2M client identity must be specified!");
  const { securityConfigClientMode, ...rest } = client;
  const text = JSON.stringify({ client: { securityConfigClientMode, ...rest }, bootstrap });
  return { credentialsType: "LWM2M_CREDENTIALS", credentialsId: id, credentialsValue: text };
}
