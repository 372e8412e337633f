import { neededCapability } from "@heddle/plugin-sdk";
import type { LoadedDistribution } from "../host/distribution.ts";
import type { Instance } from "../host/graph.ts";
import type { JsonSchema } from "../manifest/json-schema.ts";
import { suggestion } from "../manifest/nearest.ts";
import { type Command, exit, UsageError } from "./command.ts";
import { jsonText, loadFor, printProblems, problemsJson } from "./distribution.ts";

/** Roles, their plugins and who answers whose needs; what could be loaded is shown even beside problems. */
export const list: Command = async (line, terminal) => {
  const loaded = await loadFor(line.positionals[0], line, terminal);
  const rows = loaded.instances.map((instance) => row(instance, loaded));
  if (line.json) {
    terminal.out(jsonText({ plugins: rows, ...problemsJson(loaded) }));
  } else {
    for (const { role, name, version, file, provides, needs } of rows) {
      terminal.out(`${role}  ${name}${version === undefined ? "" : ` ${version}`}  ${file ?? "built in"}`);
      if (provides.length > 0) terminal.out(`  provides ${provides.join(", ")}`);
      for (const [capability, from] of Object.entries(needs))
        terminal.out(`  needs ${capability} from ${from.join(", ") || "nobody"}`);
    }
    printProblems(loaded, terminal);
  }
  return loaded.problems.length === 0 ? exit.ok : exit.problems;
};

function row({ id, plugin, file, version }: Instance, loaded: LoadedDistribution) {
  const unit = loaded.units.find((one) => one.id === id);
  const needs = [...(unit?.needs.values() ?? [])].map((need) => {
    return [need.capability.id, need.fromKernel ? ["the kernel"] : need.providers] as const;
  });
  return {
    role: id,
    name: plugin.name,
    version,
    file,
    summary: plugin.summary,
    stability: plugin.stability,
    provides: (plugin.provides ?? []).map((one) => one.id),
    needs: Object.fromEntries(needs),
  };
}

/** The card of one role. */
export const show: Command = async (line, terminal) => {
  const [role, manifest] = line.positionals;
  if (role === undefined) throw new UsageError("heddle plugins show <role>: name a role of the manifest");
  const loaded = await loadFor(manifest, line, terminal);
  const instance = loaded.instances.find(({ id }) => id === role);
  if (instance === undefined) {
    const roles = loaded.instances.map(({ id }) => id);
    if (!loaded.failedRoles.includes(role)) {
      throw new UsageError(
        `there is no role "${role}" here; ${suggestion(role, roles, "roles") ?? "no plugin could be loaded"}`,
      );
    }
    if (line.json) terminal.out(jsonText(problemsJson(loaded)));
    else printProblems(loaded, terminal);
    return exit.problems;
  }
  const card = cardOf(instance, loaded);
  if (line.json) terminal.out(jsonText(card));
  else for (const text of cardText(card)) terminal.out(text);
  return exit.ok;
};

type Card = ReturnType<typeof cardOf>;

function cardOf(instance: Instance, loaded: LoadedDistribution) {
  const { plugin } = instance;
  const requires = Object.entries(plugin.requires ?? {}).map(([name, need]) => {
    return { name, capability: neededCapability(need).id, optional: "optional" in need };
  });
  return {
    ...row(instance, loaded),
    sdk: plugin.sdk,
    requires,
    config: JSON.parse(JSON.stringify(plugin.config)) as JsonSchema,
    metrics: plugin.metrics ?? {},
    faults: plugin.faults ?? {},
  };
}

function cardText(card: Card): readonly string[] {
  const required = new Set(card.config.required ?? []);
  const fields = Object.entries(card.config.properties ?? {}).map(([name, schema]) =>
    fieldText(name, schema, required.has(name)),
  );
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ["config", fields],
    ["provides", card.provides],
    [
      "needs",
      card.requires.map(
        (need) =>
          `${need.capability}${need.optional ? " (optional)" : ""} from ${card.needs[need.capability]?.join(", ") || "nobody"}`,
      ),
    ],
    [
      "metrics",
      Object.entries(card.metrics).map(([name, { kind, unit, help }]) => `${name}  ${kind}, ${unit}  ${help}`),
    ],
    ["faults", Object.entries(card.faults).map(([code, { kind, help }]) => `${code}  ${kind}  ${help}`)],
  ];
  return [
    `${card.role}: ${card.name}${card.version === undefined ? "" : ` ${card.version}`} (${card.stability}), sdk ${card.sdk}`,
    card.summary,
    ...sections.flatMap(([title, lines]) => (lines.length === 0 ? [] : [title, ...lines.map((text) => `  ${text}`)])),
  ];
}

function fieldText(name: string, schema: JsonSchema, required: boolean): string {
  const kind = String(schema["heddleDecode"] ?? [schema.type ?? "one of several"].flat().join(" or "));
  const fallback = "default" in schema ? `, default ${JSON.stringify(schema["default"])}` : "";
  const description = schema["description"] === undefined ? "" : `  ${String(schema["description"])}`;
  return `${name}  ${kind}${required && fallback === "" ? ", required" : ""}${fallback}${description}`;
}
