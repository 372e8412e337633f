/** A line of an observer's file. `t`: ms of the machine's monotonic clock, the same for all its processes. */
export type Observed = { readonly t: number; readonly node: string } & (
  | {
      readonly e: "moved";
      readonly epoch: number;
      readonly gained: readonly number[];
      readonly lost: readonly number[];
    }
  | { readonly e: "handled"; readonly key: string; readonly partition: number; readonly n: number }
);

export interface Verdict {
  /** Handled more than once. */
  readonly duplicated: number;
  /** A number that came first after a later one of its device had come. */
  readonly outOfOrder: readonly string[];
  /** A record handled by a node after another had taken its partition. */
  readonly twoOwners: readonly string[];
}

/** What must hold whatever happened: order per device, and never two owners of a partition that both act. */
export function verdict(lines: readonly Observed[]): Verdict {
  const ordered = [...lines].sort((a, b) => a.t - b.t);
  const owner = new Map<number, string>();
  const newest = new Map<string, number>();
  const seen = new Set<string>();
  const outOfOrder: string[] = [];
  const twoOwners: string[] = [];
  let duplicated = 0;
  for (const line of ordered) {
    if (line.e === "moved") {
      for (const partition of line.gained) owner.set(partition, line.node);
      continue;
    }
    const { node, key, partition, n } = line;
    const acting = owner.get(partition);
    if (acting !== undefined && acting !== node)
      twoOwners.push(`${partition}: ${node} handled ${n}, ${acting} owns it`);
    if (seen.has(`${key} ${n}`)) duplicated++;
    else if (n < (newest.get(key) ?? -1)) outOfOrder.push(`${key}: ${n} after ${newest.get(key)}`);
    seen.add(`${key} ${n}`);
    newest.set(key, Math.max(n, newest.get(key) ?? -1));
  }
  return { duplicated, outOfOrder, twoOwners };
}

/** How long each partition that changed hands since `from` had been without an owner, ms, by who lost it and how. */
export function takeovers(lines: readonly Observed[], from: number): number[] {
  const before = new Map<number, string>();
  const since = new Map<number, number>();
  const waits: number[] = [];
  for (const line of [...lines].sort((a, b) => a.t - b.t)) {
    if (line.e !== "moved") continue;
    for (const partition of line.lost)
      if (line.t >= from && before.get(partition) === line.node) since.set(partition, line.t);
    for (const partition of line.gained) {
      const former = before.get(partition);
      before.set(partition, line.node);
      if (line.t < from || former === undefined || former === line.node) continue;
      waits.push(line.t - (since.get(partition) ?? from));
      since.delete(partition);
    }
  }
  return waits;
}
