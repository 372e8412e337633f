import type { CredentialsDraft } from "@heddle/plugin-sdk";

type Fields = Readonly<Record<string, string>>;

/** Columns of LwM2M credentials: where each belongs, and its name there. */
const lwm2m = {
  client: {
    LWM2M_CLIENT_ENDPOINT: "endpoint",
    LWM2M_CLIENT_SECURITY_CONFIG_MODE: "securityConfigClientMode",
    LWM2M_CLIENT_IDENTITY: "identity",
    LWM2M_CLIENT_KEY: "key",
    LWM2M_CLIENT_CERT: "cert",
  },
  bootstrapServer: {
    LWM2M_BOOTSTRAP_SERVER_SECURITY_MODE: "securityMode",
    LWM2M_BOOTSTRAP_SERVER_PUBLIC_KEY_OR_ID: "clientPublicKeyOrId",
    LWM2M_BOOTSTRAP_SERVER_SECRET_KEY: "clientSecretKey",
  },
  lwm2mServer: {
    LWM2M_SERVER_SECURITY_MODE: "securityMode",
    LWM2M_SERVER_CLIENT_PUBLIC_KEY_OR_ID: "clientPublicKeyOrId",
    LWM2M_SERVER_CLIENT_SECRET_KEY: "clientSecretKey",
  },
} as const;

/** Every column that a table of devices may have (rest-semantics 19.2). */
export const importColumns: ReadonlySet<string> = new Set([
  "NAME",
  "TYPE",
  "LABEL",
  "DESCRIPTION",
  "IS_GATEWAY",
  "SHARED_ATTRIBUTE",
  "SERVER_ATTRIBUTE",
  "TIMESERIES",
  "ACCESS_TOKEN",
  "X509",
  "MQTT_CLIENT_ID",
  "MQTT_USER_NAME",
  "MQTT_PASSWORD",
  ...Object.values(lwm2m).flatMap((columns) => Object.keys(columns)),
]);

/** The columns that are filled choose the type; undefined when none is. */
export function importCredentials(fields: Fields): CredentialsDraft | undefined {
  if (fields["LWM2M_CLIENT_ENDPOINT"] !== undefined) return lwm2mCredentials(fields);
  if (fields["X509"] !== undefined) {
    return { credentialsType: "X509_CERTIFICATE", credentialsValue: fields["X509"] };
  }
  const basic = {
    clientId: fields["MQTT_CLIENT_ID"],
    userName: fields["MQTT_USER_NAME"],
    password: fields["MQTT_PASSWORD"],
  };
  if (Object.values(basic).some((value) => value !== undefined)) {
    return { credentialsType: "MQTT_BASIC", credentialsValue: JSON.stringify(basic) };
  }
  const token = fields["ACCESS_TOKEN"];
  return token === undefined ? undefined : { credentialsType: "ACCESS_TOKEN", credentialsId: token };
}

function lwm2mCredentials(fields: Fields): CredentialsDraft {
  const part = (columns: Readonly<Record<string, string>>, mode: string) => ({
    [mode]: "NO_SEC",
    ...Object.fromEntries(
      Object.entries(columns).flatMap(([column, name]) =>
        fields[column] === undefined ? [] : [[name, fields[column]]],
      ),
    ),
  });
  const value = {
    client: part(lwm2m.client, "securityConfigClientMode"),
    bootstrap: {
      bootstrapServer: part(lwm2m.bootstrapServer, "securityMode"),
      lwm2mServer: part(lwm2m.lwm2mServer, "securityMode"),
    },
  };
  return { credentialsType: "LWM2M_CREDENTIALS", credentialsValue: JSON.stringify(value) };
}
