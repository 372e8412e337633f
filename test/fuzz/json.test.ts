import { inspect, isDeepStrictEqual } from "node:util";
import { compact, jsonGatewayCodec, type Node, readLenientJson } from "@heddle/payload-codec";
import {
  Double,
  isFault,
  type Plain,
  readTypedJson,
  type Value,
  valueText,
  valueType,
  writeTypedJson,
} from "@heddle/plugin-sdk";
import { expect, it } from "vitest";
import { readAttributes, readTelemetry, type ValueGroup } from "../../plugins/devices/src/payload/uplink.ts";
import { fuzz } from "./fuzzer.ts";
import { jsonText, telemetryText } from "./json-text.ts";
import { must, patience } from "./must.ts";

/** What strict JSON says; undefined when it is none. */
function strictly(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function leniently(text: string): Node | undefined {
  try {
    return readLenientJson(text);
  } catch (error) {
    must(error instanceof SyntaxError, `refused by ${String(error)}, not by a SyntaxError`);
    return undefined;
  }
}

/** Whether the two readers saw the same document. */
function same(node: Node | undefined, value: unknown): boolean {
  switch (node?.type) {
    case "null":
      return value === null;
    case "boolean":
    case "string":
      return value === node.value;
    case "number":
      return value === Number(node.text);
    case "array":
      return (
        Array.isArray(value) && value.length === node.items.length && node.items.every((one, i) => same(one, value[i]))
      );
    case "object": {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
      const members = new Map<string, unknown>(Object.entries(value));
      return (
        members.size === node.members.size && [...members].every(([name, one]) => same(node.members.get(name), one))
      );
    }
    default:
      return false;
  }
}

/** Containers in each other that the permissive reader still takes. */
const deepest = 256;
const depthOf = (text: string) => text.split(/[[{]/).length;

it(
  "the permissive JSON reader takes all strict JSON and sees the same, and what it writes is strict",
  patience,
  async () => {
    const tried = await fuzz({
      name: "json-reader",
      make: (dice) => Buffer.from(jsonText(dice, dice.chance(0.5))),
      check(input) {
        const text = input.toString();
        const strict = strictly(text);
        const node = leniently(text);
        if (strict !== undefined && depthOf(text) < deepest) must(same(node, strict.value), "differs from strict JSON");
        if (node === undefined) return;
        const written = compact(node);
        must(strictly(written) !== undefined, `writes ${written}, which is no JSON`);
        must(compact(readLenientJson(written)) === written, `writes ${written}, and reads something else from it`);
      },
    });
    expect(tried).toBeGreaterThan(0);
  },
);

type Read = readonly ValueGroup[] | "refused";

function read(reader: () => readonly ValueGroup[]): Read {
  try {
    return reader();
  } catch (error) {
    must(isFault(error) && error.code === "device.payload", `refused by ${String(error)}, not by device.payload`);
    return "refused";
  }
}

/** Times, keys, types and values as one text that can be compared. */
function told(groups: Read): string {
  if (groups === "refused") return groups;
  const lines = groups.map(({ ts, body, typed, points }) => {
    const text = Buffer.from(body).toString();
    const values = (typed ? readTypedJson(text) : JSON.parse(text)) as Record<string, Plain>;
    const entries = Object.entries(values).map(([key, value]) => `${key}: ${typeAndText(value)}`);
    must(entries.length === points, `says ${points} values and has ${entries.length}`);
    return `${ts ?? "now"} ${entries.sort().join(", ")}`;
  });
  return lines.join("\n");
}

function typeAndText(value: Plain): string {
  const isContainer = typeof value === "object" && !(value instanceof Double);
  return isContainer ? writeTypedJson(value) : `${valueType(value as Value)} ${valueText(value as Value)}`;
}

/** A comment behind the document, which only the permissive reader takes: the way for plain documents is not gone then. */
const aside = Buffer.from("/**/");

it.each([
  { what: "telemetry", reader: readTelemetry },
  {
    what: "attributes",
    reader: (payload: Buffer, limits: { stringLength: number }) => [readAttributes(payload, limits)],
  },
])(
  "$what: the short way for plain documents and the long one give the same values",
  patience,
  async ({ what, reader }) => {
    const limits = { stringLength: 0 };
    const tried = await fuzz({
      name: `${what}-document`,
      make: (dice) => Buffer.from(telemetryText(dice, dice.chance(0.3))),
      check(input) {
        const quick = told(read(() => reader(input, limits)));
        if (strictly(input.toString()) === undefined) return;
        const long = told(read(() => reader(Buffer.concat([input, aside]), limits)));
        must(quick === long, `reads ${quick}, and the long way ${long}`);
      },
    });
    expect(tried).toBeGreaterThan(0);
  },
);

it("typed JSON gives a document the same types whether or not another number in it needs care", patience, async () => {
  const tried = await fuzz({
    name: "typed-json",
    make: (dice) => Buffer.from(jsonText(dice, false)),
    check(input) {
      const text = input.toString();
      if (strictly(text) === undefined) return;
      const written = writeTypedJson(readTypedJson(text));
      const [, beside] = readTypedJson(`[25.0,${text}]`) as readonly Plain[];
      must(written === writeTypedJson(beside), `reads ${written}, and beside a double ${writeTypedJson(beside)}`);
      must(written === writeTypedJson(readTypedJson(written)), `writes ${written}, and reads something else from it`);
    },
  });
  expect(tried).toBeGreaterThan(0);
});

it("a gateway's message gives each device its own part, and nothing else", patience, async () => {
  const { telemetry, attributes, claims, attributesRequest, connect, disconnect, rpcReply } = jsonGatewayCodec;
  const refusable = <T>(run: () => T): T | undefined => {
    try {
      return run();
    } catch (error) {
      must(isFault(error) && ["device.payload", "gateway.shape"].includes(error.code), `refused by ${String(error)}`);
      return undefined;
    }
  };
  const tried = await fuzz({
    name: "gateway-document",
    make: (dice) => {
      const part = () => (dice.chance(0.6) ? `[${telemetryText(dice, false)}]` : telemetryText(dice, dice.chance(0.2)));
      const names = ["A", "B", "__proto__", "constructor", "device", "id", "client", "keys", "data", "", " "];
      return Buffer.from(`{${dice.some(4, () => `${JSON.stringify(dice.pick(names))}:${part()}`).join(",")}}`);
    },
    check(input) {
      for (const read of [connect, disconnect, attributesRequest, rpcReply]) refusable(() => read(input));
      const strict = strictly(input.toString())?.value;
      for (const read of [telemetry, attributes, claims]) {
        const parts = refusable(() => read(input)) ?? [];
        must(new Set(parts.map(({ name }) => name)).size === parts.length, "a device has two parts");
        for (const { name, document, fault } of parts) {
          if (fault !== undefined) continue;
          const own = strictly(Buffer.from(document).toString());
          must(own !== undefined, `${name} gets what is no JSON`);
          // What is for the platform only is taken out.
          if (strict === undefined || input.includes("metadata")) continue;
          const wanted = (strict as Record<string, unknown>)[name];
          must(isDeepStrictEqual(own?.value, wanted), `${name} gets ${inspect(own?.value)}, not ${inspect(wanted)}`);
        }
      }
    },
  });
  expect(tried).toBeGreaterThan(0);
});
