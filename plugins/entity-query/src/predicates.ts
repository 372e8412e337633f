import { invalid, numberOf, Type, type Value } from "@heddle/plugin-sdk";
import { checkOf } from "./check.ts";

/** A user's, a dynamic or a default value (rest-semantics 10.7). */
const Given = Type.Object(
  {
    defaultValue: Type.Optional(Type.Unknown()),
    userValue: Type.Optional(Type.Unknown()),
    dynamicValue: Type.Optional(
      Type.Union([
        Type.Object({
          sourceType: Type.Optional(Type.Union([Type.String(), Type.Null()])),
          sourceAttribute: Type.Optional(Type.Union([Type.String(), Type.Null()])),
          inherit: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
        }),
        Type.Null(),
      ]),
    ),
  },
  { additionalProperties: true },
);
const checkGiven = checkOf(Given, "Key filter: value");
const deepest = 10;

export interface DynamicValue {
  readonly sourceType: string;
  readonly sourceAttribute: string;
  readonly inherit: boolean;
}

/** Reads an attribute of the caller, its customer or its tenant. */
export type Resolve = (dynamic: DynamicValue) => Promise<Value | undefined>;
export type Test = (value: Value | undefined) => boolean;

/** A predicate as a test of one value; what a value is compared with is read once. Fault `input.invalid`. */
export async function readPredicate(
  predicate: Readonly<Record<string, unknown>>,
  resolve: Resolve,
  depth = 0,
): Promise<Test> {
  if (depth > deepest) throw invalid(`Key filter: predicates nest at most ${deepest} deep`);
  const { type, operation, ignoreCase } = predicate;
  if (type === "COMPLEX") return complex(predicate, resolve, depth);
  const value = await givenValue(predicate["value"], String(type), resolve);
  switch (type) {
    case "STRING":
      return stringTest(String(operation), typeof value === "string" ? value : "", ignoreCase === true);
    case "NUMERIC":
      return numericTest(String(operation), typeof value === "number" ? value : 0);
    case "BOOLEAN":
      return booleanTest(String(operation), value === true);
    default:
      throw invalid(`Key filter: there is no predicate of type '${String(type).slice(0, 40)}'`);
  }
}

async function complex(predicate: Readonly<Record<string, unknown>>, resolve: Resolve, depth: number): Promise<Test> {
  const { predicates, operation } = predicate;
  if (!Array.isArray(predicates) || predicates.length > 100)
    throw invalid("Key filter: 'predicates' must be a list of at most 100");
  const tests: Test[] = [];
  for (const one of predicates as unknown[]) {
    if (typeof one !== "object" || one === null) throw invalid("Key filter: a predicate must be an object");
    tests.push(await readPredicate(one as Record<string, unknown>, resolve, depth + 1));
  }
  if (operation === "OR") return (value) => tests.some((test) => test(value));
  return (value) => tests.every((test) => test(value));
}

async function givenValue(
  given: unknown,
  type: string,
  resolve: Resolve,
): Promise<string | number | boolean | undefined> {
  checkGiven(given);
  const { defaultValue, userValue, dynamicValue } = given as {
    defaultValue?: unknown;
    userValue?: unknown;
    dynamicValue?: Partial<Record<keyof DynamicValue, unknown>> | null;
  };
  const fits = (value: unknown): value is string | number | boolean =>
    typeof value === { STRING: "string", NUMERIC: "number", BOOLEAN: "boolean" }[type];
  if (fits(userValue)) return userValue;
  const { sourceType, sourceAttribute, inherit } = dynamicValue ?? {};
  if (typeof sourceType === "string" && typeof sourceAttribute === "string" && sourceAttribute !== "") {
    const found = await resolve({ sourceType, sourceAttribute, inherit: inherit === true });
    const plain = type === "NUMERIC" && found !== undefined ? numberOf(found) : found;
    if (fits(plain)) return plain;
  }
  return fits(defaultValue) ? defaultValue : undefined;
}

function numericTest(operation: string, wanted: number): Test {
  const compare = numericOperations[operation];
  if (compare === undefined) throw invalid(`Key filter: there is no numeric operation '${operation.slice(0, 40)}'`);
  return (value) => {
    const number = value === undefined ? undefined : numberOf(value);
    return number !== undefined && compare(number, wanted);
  };
}
const numericOperations: Readonly<Record<string, (value: number, wanted: number) => boolean>> = {
  EQUAL: (value, wanted) => value === wanted,
  NOT_EQUAL: (value, wanted) => value !== wanted,
  GREATER: (value, wanted) => value > wanted,
  LESS: (value, wanted) => value < wanted,
  GREATER_OR_EQUAL: (value, wanted) => value >= wanted,
  LESS_OR_EQUAL: (value, wanted) => value <= wanted,
};

function booleanTest(operation: string, wanted: boolean): Test {
  if (operation !== "EQUAL" && operation !== "NOT_EQUAL")
    throw invalid(`Key filter: there is no boolean operation '${operation.slice(0, 40)}'`);
  return (value) => typeof value === "boolean" && (value === wanted) === (operation === "EQUAL");
}

const stringOperations: Readonly<Record<string, (value: string, wanted: string) => boolean>> = {
  EQUAL: (value, wanted) => value === wanted,
  NOT_EQUAL: (value, wanted) => value !== wanted,
  STARTS_WITH: (value, wanted) => value.startsWith(wanted),
  ENDS_WITH: (value, wanted) => value.endsWith(wanted),
  CONTAINS: (value, wanted) => value.includes(wanted),
  NOT_CONTAINS: (value, wanted) => !value.includes(wanted),
  IN: (value, wanted) => itemsOf(wanted).includes(value),
  NOT_IN: (value, wanted) => !itemsOf(wanted).includes(value),
};

function stringTest(operation: string, given: string, ignoreCase: boolean): Test {
  const compare = stringOperations[operation];
  if (compare === undefined) throw invalid(`Key filter: there is no text operation '${operation.slice(0, 40)}'`);
  const wanted = ignoreCase ? given.toLowerCase() : given;
  // An empty text filters nothing, except where it is compared with.
  const everything = wanted === "" && operation !== "EQUAL" && operation !== "NOT_EQUAL";
  return (value) =>
    typeof value === "string" && (everything || compare(ignoreCase ? value.toLowerCase() : value, wanted));
}

/** Between commas; quotes protect commas and blanks. */
export function itemsOf(list: string): string[] {
  return [...list.matchAll(/\s*(?:"([^"]*)"|'([^']*)'|([^,]*))\s*(?:,|$)/g)]
    .map(([, double, single, bare]) => double ?? single ?? (bare ?? "").trim())
    .filter((item, at, all) => item !== "" || at < all.length - 1);
}
