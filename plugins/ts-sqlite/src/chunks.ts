import { decodeChunk, encodeChunk } from "./chunk.ts";
import { between, lowerBound, merge, noPoints, type Points, pushPoint } from "./points.ts";
import type { Series } from "./series.ts";
import type { ChunkRow, Statements } from "./tables.ts";

/** Points of a full chunk. */
export const chunkPoints = 256;
/** A smaller last chunk is filled up rather than followed by another. */
const smallChunk = 64;

type Owner = Omit<ChunkRow, "body">;

/**
 * Writes recent points of a series into chunks. Points go into the chunk whose time they fall in, so that chunks never
 * overlap; newer ones follow as chunks of their own.
 */
export function writeRecent(sql: Statements, series: Series, points: Points): void {
  if (points.ts.length === 0) return;
  const first = points.ts[0] as number;
  const last = points.ts[points.ts.length - 1] as number;
  const owners = sql.owners.all(series.id, first, last) as Owner[];
  let from = 0;
  for (let at = 0; at <= owners.length; at++) {
    const next = owners[at]?.start;
    const to = next === undefined ? points.ts.length : lowerBound(points.ts, next);
    if (to > from) placeGroup(sql, series, { owner: owners[at - 1], points: slice(points, from, to) });
    from = to;
  }
}

function placeGroup(sql: Statements, series: Series, group: { owner: Owner | undefined; points: Points }): void {
  const { owner, points } = group;
  if (owner === undefined || apart(owner, points, series.ttl))
    return insertPieces(sql, series.id, { points, ttl: series.ttl });
  const row = sql.body.get(owner.number) as { body: Uint8Array };
  const ttl = owner.ttl === 0 || series.ttl === 0 ? 0 : Math.max(owner.ttl, series.ttl);
  sql.deleteChunk.run(owner.number);
  insertPieces(sql, series.id, { points: merge(decodeChunk(row.body), points), ttl });
}

/** True when the points begin after the chunk and need not be joined to it. */
function apart(owner: Owner, points: Points, ttl: number): boolean {
  if ((points.ts[0] as number) <= owner.until) return false;
  return owner.ttl !== ttl || owner.count >= smallChunk || owner.count + points.ts.length > chunkPoints;
}

function insertPieces(sql: Statements, series: number, { points, ttl }: { points: Points; ttl: number }): void {
  const count = points.ts.length;
  const pieces = Math.max(1, Math.round(count / chunkPoints));
  for (let piece = 0; piece < pieces; piece++) {
    const part = slice(points, Math.floor((count * piece) / pieces), Math.floor((count * (piece + 1)) / pieces));
    const until = part.ts[part.ts.length - 1] as number;
    sql.insertChunk.run(series, part.ts[0] as number, until, part.ts.length, ttl, encodeChunk(part));
  }
}

/** Drops the stored points of `[from, to)`; whole chunks without reading them. */
export function removeStored(sql: Statements, series: number, range: { from: number; to: number }): void {
  const { from, to } = range;
  sql.deleteInside.run(series, from, to);
  const cut = sql.upward.all(series, from, to, 2) as ChunkRow[];
  for (const row of cut) {
    if (row.until < from) continue;
    const kept = outside(decodeChunk(row.body), from, to);
    sql.deleteChunk.run(row.number);
    if (kept.ts.length > 0) insertPieces(sql, series, { points: kept, ttl: row.ttl });
  }
}

export function outside(points: Points, from: number, to: number): Points {
  const kept = noPoints();
  points.ts.forEach((ts, at) => {
    if (ts < from || ts >= to) pushPoint(kept, points, at);
  });
  return kept;
}

function slice(points: Points, from: number, to: number): Points {
  if (from === 0 && to === points.ts.length) return points;
  const { ts, kinds, values } = points;
  return { ts: ts.slice(from, to), kinds: kinds.slice(from, to), values: values.slice(from, to) };
}

export interface Slice {
  readonly points: Points;
  /** Where the next slice goes on: its `from` upward, its `to` downward; undefined when this was the last. */
  readonly next: number | undefined;
}

interface SliceQuery {
  readonly from: number;
  readonly to: number;
  readonly order: "asc" | "desc";
  readonly chunks: number;
  visibleFrom(ttl: number): number;
}

/** The next few chunks' points of a range merged with the recent ones, ascending in either order. */
export function readSlice(sql: Statements, series: Series, query: SliceQuery): Slice {
  const upward = query.order === "asc";
  const statement = upward ? sql.upward : sql.downward;
  const rows = statement.all(series.id, query.from, query.to, query.chunks) as ChunkRow[];
  const edge = rows.length < query.chunks ? undefined : (rows[rows.length - 1] as ChunkRow);
  const from = upward || edge === undefined ? query.from : Math.max(query.from, edge.start);
  const to = !upward || edge === undefined ? query.to : Math.min(query.to, edge.until + 1);
  if (!upward) rows.reverse();
  let stored = noPoints();
  for (const row of rows) {
    stored = joined(stored, between(decodeChunk(row.body), Math.max(from, query.visibleFrom(row.ttl)), to));
  }
  const recent =
    series.count === 0 ? noPoints() : between(series.recent, Math.max(from, query.visibleFrom(series.ttl)), to);
  const ended = edge === undefined || (upward ? to >= query.to : from <= query.from);
  return { points: merge(stored, recent), next: ended ? undefined : upward ? to : from };
}

function joined(left: Points, right: Points): Points {
  if (left.ts.length === 0) return right;
  const { ts, kinds, values } = right;
  return { ts: left.ts.concat(ts), kinds: left.kinds.concat(kinds), values: left.values.concat(values) };
}
