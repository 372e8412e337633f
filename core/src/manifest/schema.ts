import { Bytes, Duration, type Static, Type } from "@heddle/plugin-sdk";
import type { JsonSchema } from "./json-schema.ts";

const strict = { additionalProperties: false } as const;
const binds = (description: string) => Type.Record(Type.String(), Type.String(), { description });

const PluginEntry = Type.Object(
  {
    use: Type.String({ minLength: 1, description: "npm package of the plugin, or a file relative to this manifest." }),
    config: Type.Optional(Type.Object({}, { additionalProperties: true, description: "As the plugin's schema says." })),
    bind: Type.Optional(
      binds("Capability id to role: who answers for this plugin, where the rest has another provider."),
    ),
  },
  strict,
);

export const ManifestSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, description: "Name of the distribution." }),
    node: Type.Object(
      {
        id: Type.Optional(
          Type.String({ minLength: 1, description: "Name of this node; by default host and process." }),
        ),
        workers: Type.Union([Type.Integer({ minimum: 1, maximum: 256 }), Type.Literal("auto")], {
          default: 1,
          description:
            "Node processes on this machine: 1 to 256, or auto, one per core; from 2 on a parent beside them holds the back-ends.",
        }),
        memory: Bytes({
          default: "1GB",
          description: "Resident memory of each process; near it, devices and clients wait until there is room.",
        }),
        roles: Type.Array(Type.String({ minLength: 1 }), {
          default: ["owner"],
          description: "Only owners own partitions.",
        }),
        secretsDir: Type.Optional(
          Type.String({ minLength: 1, description: `Folder of the files behind \${secret:name}.` }),
        ),
        startTimeout: Duration({ default: "60s", description: "How long starting may take." }),
        stopTimeout: Duration({ default: "20s", description: "How long stopping may take." }),
      },
      { ...strict, default: {} },
    ),
    cluster: Type.Object(
      {
        partitions: Type.Integer({
          minimum: 1,
          maximum: 4096,
          default: 128,
          description: "Partitions of every key; fixed for the life of the data.",
        }),
      },
      { ...strict, default: {} },
    ),
    log: Type.Object(
      {
        level: Type.Union(
          ["debug", "info", "warn", "error"].map((level) => Type.Literal(level as LogLevel)),
          { default: "info" },
        ),
        format: Type.Union(
          ["auto", "json", "text"].map((format) => Type.Literal(format as LogFormat)),
          {
            default: "auto",
            description: "auto is text on a terminal and JSON elsewhere.",
          },
        ),
      },
      { ...strict, default: {} },
    ),
    plugins: Type.Record(Type.String(), PluginEntry, { default: {}, description: "Plugins by role." }),
    bind: Type.Optional(binds("Capability id to role: which of several providers answers.")),
  },
  { ...strict, description: "A Heddle distribution." },
);

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "auto" | "json" | "text";
/** A validated manifest, defaults filled in, durations in milliseconds, without `plugins` and `bind`. */
export type ManifestSettings = Omit<Static<typeof ManifestSchema>, "plugins" | "bind">;

export interface RoleSchema {
  readonly role: string;
  readonly summary: string;
  readonly config: JsonSchema;
}

/**
 * The schema that an editor checks a manifest of this distribution with. Nothing is required, since `extends` may bring
 * it; `null` removes; and every number or truth value may be an interpolation.
 */
export function composedSchema(roles: readonly RoleSchema[]): JsonSchema {
  const schema = relaxed(JSON.parse(JSON.stringify(ManifestSchema)) as JsonSchema);
  const entry = relaxed(JSON.parse(JSON.stringify(PluginEntry)) as JsonSchema);
  const properties: Record<string, JsonSchema> = {};
  for (const { role, summary, config } of roles) {
    const own = relaxed(JSON.parse(JSON.stringify(config)) as JsonSchema);
    properties[role] = orNull({ ...entry, description: summary, properties: { ...entry.properties, config: own } });
  }
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    ...schema,
    properties: {
      ...schema.properties,
      extends: { type: "string", description: "Path or package specifier of the manifest below this one." },
      plugins: { type: "object", description: "Plugins by role.", properties, additionalProperties: orNull(entry) },
    },
  };
}

const orNull = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: "null" }] });
const interpolation = { type: "string", pattern: "\\$\\{" };

function relaxed(schema: JsonSchema, insideList = false): JsonSchema {
  const { required, heddleDecode, properties, items, ...rest } = schema;
  const result: Record<string, unknown> = { ...rest };
  if (heddleDecode === "secret") result["writeOnly"] = true;
  if (insideList && required !== undefined) result["required"] = required;
  if (properties !== undefined) {
    const inner = Object.entries(properties).map(([key, one]) => [key, relaxed(one, insideList)]);
    result["properties"] = Object.fromEntries(inner);
  }
  if (typeof rest.additionalProperties === "object") {
    result["additionalProperties"] = relaxed(rest.additionalProperties, insideList);
  }
  if (items !== undefined) {
    result["items"] = Array.isArray(items)
      ? items.map((one) => relaxed(one, true))
      : relaxed(items as JsonSchema, true);
  }
  for (const union of ["anyOf", "oneOf", "allOf"] as const) {
    const inner = schema[union];
    if (inner !== undefined) result[union] = inner.map((one) => relaxed(one, insideList));
  }
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  const needsText = types.some((type) => ["integer", "number", "boolean"].includes(type));
  return needsText ? { anyOf: [result, interpolation] } : result;
}
