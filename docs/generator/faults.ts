import { type FaultKind, type FaultSpecs, faultStatus } from "@heddle/plugin-sdk";
import { hostFaults } from "../../core/src/host/faults.ts";
import type { Instance } from "../../core/src/host/graph.ts";
import { code, page, table } from "./markdown.ts";

const meanings: Readonly<Record<FaultKind, string>> = {
  invalid: "The request is wrong; the same request fails again.",
  denied: "Not allowed; 401 instead when nobody is signed in.",
  missing: "There is no such thing.",
  conflict: "It contradicts what is there.",
  exhausted: "A bound is reached; the same call may succeed later.",
  unavailable: "Something needed is not there now; the same call may succeed later.",
  internal: "A defect.",
};

/** Kinds, and the codes that the host and the plugins declare. */
export function faultsPage(instances: readonly Instance[]): string {
  const kinds = Object.entries(meanings).map(([kind, help]) => [
    code(kind),
    String(faultStatus[kind as FaultKind]),
    help,
  ]);
  const declared = instances
    .filter(({ plugin }) => Object.keys(plugin.faults ?? {}).length > 0)
    .flatMap(({ plugin }) => [`## ${plugin.name}`, faultTable(plugin.faults ?? {})]);
  return page(
    "Faults",
    "Every error is a fault with a stable code and one of seven kinds. Code that does not know the plugin decides by the kind alone. The device protocols and some REST operations answer with the statuses that their contracts ask for.",
    [table(["kind", "HTTP status", ""], kinds), "## The host", faultTable(hostFaults), ...declared],
  );
}

function faultTable(specs: FaultSpecs): string {
  const rows = Object.entries(specs).map(([name, { kind, help }]) => [code(name), kind, help]);
  return table(["code", "kind", ""], rows);
}
