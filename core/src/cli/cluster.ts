import type { ClusterStatus } from "@heddle/plugin-sdk";
import { type Command, exit } from "./command.ts";
import { jsonText } from "./distribution.ts";

const defaultUrl = "http://127.0.0.1:8080";
const patienceMs = 10_000;

/** What one running node tells of its cluster. */
export const status: Command = async ({ url = defaultUrl, json }, terminal) => {
  let told: ClusterStatus;
  try {
    const answer = await fetch(new URL("/cluster", url), { signal: AbortSignal.timeout(patienceMs) });
    const body = (await answer.json()) as ClusterStatus & { readonly error?: string };
    if (!answer.ok) throw new Error(body.error ?? `status ${answer.status}`);
    told = body;
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
    if (json) terminal.out(jsonText({ error: why, url }));
    else terminal.err(`no status from ${url}: ${why}\nname a running node: --url http://host:port`);
    return exit.unreachable;
  }
  if (json) terminal.out(jsonText(told));
  else for (const line of statusText(told)) terminal.out(line);
  return exit.ok;
};

function statusText({ self, epoch, partitions, members, serving, lanes }: ClusterStatus): string[] {
  const rows = members.map((member) => [
    member.id === self ? `${member.id} *` : member.id,
    String(member.partitions),
    member.drained === epoch ? "settled" : `drained ${member.drained}`,
    member.roles.join(",") || "-",
    member.address || "-",
    member.incarnation,
  ]);
  const lags = lanes.map(({ lane, group, lag }) => [lane, group, lag === undefined ? "unknown" : String(lag)]);
  return [
    `epoch ${epoch}, ${partitions} partitions, ${members.length} members; ${self} serves ${serving}`,
    "",
    ...table(["member", "partitions", "hand-over", "roles", "address", "incarnation"], rows),
    "",
    ...table(["lane", "group", "lag"], lags),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)];
}
