import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ActorKinds, neededCapability } from "@heddle/plugin-sdk";
import { kernelCapabilities } from "../../core/src/host/distribution.ts";
import type { Instance } from "../../core/src/host/graph.ts";
import { code, page } from "./markdown.ts";

interface Declared {
  readonly id: string;
  readonly name: string;
  readonly many: boolean;
  /** Of the file that declares it, from the top of the repository. */
  readonly path: string;
  readonly about: string;
}

/** Every capability of the SDK, who gives it and who needs it. */
export function capabilitiesPage(instances: readonly Instance[], root: string): string {
  const kernel = new Set<string>(kernelCapabilities.map(({ id }) => id));
  const sections = declaredIn(root).map(({ id, name, many, path, about }) => {
    const giving = instances.filter(({ plugin }) => plugin.provides?.some((one) => one.id === id));
    const needing = instances.filter(({ plugin }) =>
      Object.values(plugin.requires ?? {}).some((need) => neededCapability(need).id === id),
    );
    const givers = kernel.has(id) ? "the kernel" : names(giving);
    return [
      `## ${id}`,
      about,
      [
        `- ${code(name)} in [${path}](../../${path}); ${many ? "all providers answer" : "one provider answers"}`,
        `- given by ${givers || "nothing in the standalone distribution"}`,
        `- needed by ${needersOf(id, needing)}`,
      ].join("\n"),
    ]
      .filter((part) => part !== "")
      .join("\n\n");
  });
  return page(
    "Capabilities",
    "The tokens by which plugins meet; their interfaces are in `@heddle/plugin-sdk`.",
    sections,
  );
}

/** A clause of a wire contract, cited for those who work on the interface. */
const clause =
  /\s*(?:\((?:architecture|device-api|rest-semantics|rule-engine|websocket) [^)]*\)|with the texts of rest-semantics [\d.]*\d)/g;

function needersOf(id: string, needing: readonly Instance[]): string {
  // The node collects these from everybody instead of needing them: it starts before those who give them.
  if (id === ActorKinds.id) return "the node, which collects them when all plugins have started";
  return names(needing) || "nothing in the standalone distribution";
}

const names = (instances: readonly Instance[]): string => instances.map(({ plugin }) => code(plugin.name)).join(", ");

/** Read from the SDK's sources: only these tell the interface's own comment. */
function declaredIn(root: string): readonly Declared[] {
  const base = "plugin-sdk/src";
  const files = readdirSync(join(root, base), { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .toSorted();
  return files.flatMap((file) => {
    const text = readFileSync(join(root, base, file), "utf8");
    const found = text.matchAll(/^export const (\w+) = (capability|extensionPoint)<[^;]*?>\("([^"]+)"\)/gm);
    return [...found].map(([, name = "", kind, id = ""]) => {
      return { id, name, many: kind === "extensionPoint", path: `${base}/${file}`, about: comment(text, name) };
    });
  });
}

/** The comment above the interface of that name, or above its constant. */
function comment(text: string, name: string): string {
  const lines = text.split("\n");
  for (const start of [`export interface ${name} `, `export const ${name} `]) {
    let at = lines.findIndex((line) => line.startsWith(start)) - 1;
    if (at < 0 || !lines[at]?.trimEnd().endsWith("*/")) continue;
    const end = at;
    while (at > 0 && !lines[at]?.startsWith("/**")) at--;
    const body = lines
      .slice(at, end + 1)
      .map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*)?\s?/, "").replace(/\*\/\s*$/, ""));
    return body.join(" ").replaceAll(clause, "").replaceAll(/\s+/g, " ").trim();
  }
  return "";
}
