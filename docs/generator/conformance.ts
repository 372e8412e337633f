import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { page, table } from "./markdown.ts";
import { type NamedTest, testNames } from "./test-names.ts";

/** A row of the device API's conformance table. */
export interface Row {
  readonly id: string;
  readonly tag: string;
  /** Why no test proves it; empty when one does. */
  readonly unproved: string;
}

const parts: Readonly<Record<string, string>> = {
  JSON: "Value typing",
  CRED: "Credentials and CONNECT",
  "MQTT-CON": "MQTT connection",
  "MQTT-SUB": "MQTT subscriptions",
  "MQTT-TEL": "MQTT telemetry",
  "MQTT-ATT": "MQTT attributes",
  "MQTT-RPC": "MQTT calls",
  "MQTT-CLM": "MQTT claiming",
  "MQTT-OTA": "MQTT packages",
  "MQTT-PRV": "MQTT provisioning",
  GW: "Gateways",
  LIM: "Limits",
  PB: "Protobuf",
  SPB: "Sparkplug",
  HTTP: "HTTP",
  COAP: "CoAP",
  ACT: "Activity",
};

const tags: Readonly<Record<string, string>> = {
  C: "devices in the field, the official SDKs or the gateway depend on it",
  O: "observed in the reference; little depends on it",
  X: "a fault or an oddity of the reference; doing better passes too",
};

const groups = Object.keys(parts);
const short = groups.flatMap((group) => (group.startsWith("MQTT-") ? [group.slice("MQTT-".length)] : []));
const id = `(?:${[...groups, ...short].join("|")})-\\d{2}`;
/** One row, or `X-01 to X-05`; behind a full id, the `MQTT-` of others may be left out. */
const mention = new RegExp(`(?<![A-Za-z0-9-])(${id})(?: to (${id}))?(?![0-9])`, "g");

/** The page of the table, made of `test/conformance/rows.tsv` and the names of all tests. */
export function conformancePage(root: string): string {
  const rows = readRows(readFileSync(join(root, "test/conformance/rows.tsv"), "utf8"));
  const tests = testNames(root, (text) => text.search(mention) >= 0);
  return pageOf(rows, tests);
}

export function readRows(text: string): readonly Row[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [id = "", tag = "", unproved = ""] = line.split("\t");
      return { id, tag, unproved };
    });
}

/** Throws, with all of them, when a test names a row that is not there, or a row lacks both a test and the reason why. */
export function pageOf(rows: readonly Row[], tests: readonly NamedTest[]): string {
  const proofs = new Map<string, NamedTest[]>(rows.map((row) => [row.id, []]));
  const problems: string[] = [];
  for (const test of tests) {
    for (const id of rowsOf(test.name)) {
      const found = proofs.get(id);
      if (found === undefined) problems.push(`${test.file}: "${test.name}" names ${id}, which is no row`);
      else found.push(test);
    }
  }
  for (const { id, tag, unproved } of rows) {
    const proved = proofs.get(id)?.length !== 0;
    if (tags[tag] === undefined) problems.push(`${id}: the tag ${tag} is not known`);
    if (!proved && unproved === "") problems.push(`${id}: no test proves it, and rows.tsv does not say why`);
    if (proved && unproved !== "") problems.push(`${id}: a test proves it, and rows.tsv says that none does`);
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return page(
    "Conformance",
    "The rows of the device API's conformance table, and the tests that prove them. A row counts as proved when a test that runs carries its id; the run of the tests is green only when all of them pass. The 22 rows of LwM2M come with LwM2M. [How to run them on a cluster](../operate/cluster.md#conformance).",
    [counts(rows), ...groups.flatMap((group) => part(group, rows, proofs))],
  );
}

/** Ids in a test's name, ranges written out, short forms completed. */
export function rowsOf(name: string): readonly string[] {
  return [...new Set([...name.matchAll(mention)].flatMap(([, first = "", last]) => range(full(first), last)))];
}

function range(first: string, last: string | undefined): readonly string[] {
  const [number, end] = [first, last ?? first].map((one) => Number(one.slice(-2))) as [number, number];
  const group = first.slice(0, -2);
  return Array.from({ length: end - number + 1 }, (_, i) => group + String(number + i).padStart(2, "0"));
}

function full(id: string): string {
  return short.includes(id.slice(0, -3)) ? `MQTT-${id}` : id;
}

function counts(rows: readonly Row[]): string {
  const line = (name: string, of: readonly Row[], about: string) => {
    const proved = of.filter(({ unproved }) => unproved === "").length;
    return [name, String(of.length), String(proved), about];
  };
  const tagged = Object.entries(tags).map(([tag, about]) =>
    line(
      tag,
      rows.filter((row) => row.tag === tag),
      about,
    ),
  );
  return table(["tag", "rows", "proved", "rows of this kind"], [...tagged, line("all", rows, "")]);
}

function part(group: string, rows: readonly Row[], proofs: ReadonlyMap<string, readonly NamedTest[]>): string[] {
  const own = rows.filter(({ id }) => id.slice(0, -3) === group);
  const lines = own.map(({ id, tag, unproved }) => {
    const tests = proofs.get(id) ?? [];
    return [id, tag, saying(tests), unproved === "" ? links(tests) : `no test: ${unproved}`];
  });
  return lines.length === 0 ? [] : [`## ${parts[group]}`, table(["row", "tag", "", "proved by"], lines)];
}

/** From the name of the test that runs against a distribution, else of the one with the fewest rows. */
function saying(tests: readonly NamedTest[]): string {
  const order = ({ file, name }: NamedTest) => (file.startsWith("test/conformance/") ? 0 : rowsOf(name).length);
  const [best] = tests.toSorted((a, b) => order(a) - order(b));
  const text = (best?.name ?? "").replace(mention, "").replace(/^[\s,:;]+/, "");
  return text.replace(/\s*\((?:MQTT )?%\w\)|\s*%\w/g, "").trim();
}

function links(tests: readonly NamedTest[]): string {
  const files = new Set(tests.map(({ file }) => file));
  const [whole, plugins] = [[...files].filter((file) => !inPlugin(file)), [...files].filter(inPlugin)];
  return [...whole, ...plugins].map((file) => `[${label(file)}](../../${file})`).join(", ");
}

const inPlugin = (file: string) => file.startsWith("plugins/");

function label(file: string): string {
  const [top = "", second = ""] = file.split("/");
  return `${top === "plugins" ? second : `${top}/${second}`}: ${basename(file, ".test.ts")}`.replace(/^test\//, "");
}
