/** The part of JSON Schema that manifests and plugin configurations use. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
  readonly items?: JsonSchema | readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly [keyword: string]: unknown;
}

/** A schema and, through its unions and intersections, every schema that may speak about the same value. */
export function* branches(schema: JsonSchema): Generator<JsonSchema> {
  yield schema;
  for (const inner of [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])])
    yield* branches(inner);
}

/** The schemas that may speak about a property or an item. */
export function childSchemas(schemas: readonly JsonSchema[], key: string | number): readonly JsonSchema[] {
  const found: JsonSchema[] = [];
  for (const schema of schemas.flatMap((one) => [...branches(one)])) {
    found.push(...(typeof key === "number" ? itemSchemas(schema, key) : propertySchemas(schema, key)));
  }
  return found;
}

function itemSchemas(schema: JsonSchema, index: number): readonly JsonSchema[] {
  const { items } = schema;
  if (items === undefined) return [];
  if (!Array.isArray(items)) return [items as JsonSchema];
  return items[index] === undefined ? [] : [items[index]];
}

function propertySchemas(schema: JsonSchema, key: string): readonly JsonSchema[] {
  const named = schema.properties?.[key];
  if (named !== undefined) return [named];
  const patterns = Object.entries(schema.patternProperties ?? {}).filter(([pattern]) =>
    new RegExp(pattern, "u").test(key),
  );
  if (patterns.length > 0) return patterns.map(([, inner]) => inner);
  return typeof schema.additionalProperties === "object" ? [schema.additionalProperties] : [];
}

/** Names of the properties that a value may have. */
export function propertyNames(schemas: readonly JsonSchema[]): readonly string[] {
  const all = schemas.flatMap((one) => [...branches(one)]).flatMap((one) => Object.keys(one.properties ?? {}));
  return [...new Set(all)];
}

/** The JSON types that a value may have. */
export function typesOf(schemas: readonly JsonSchema[]): ReadonlySet<string> {
  const types = new Set<string>();
  for (const schema of schemas.flatMap((one) => [...branches(one)])) {
    for (const type of typeof schema.type === "string" ? [schema.type] : (schema.type ?? [])) types.add(type);
    for (const value of schema.enum ?? ("const" in schema ? [schema.const] : [])) types.add(typeof value);
  }
  return types;
}
