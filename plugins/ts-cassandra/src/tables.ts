import type { SchemaPlan, Statement } from "@heddle/cassandra-driver";
import type { EntityId } from "@heddle/plugin-sdk";
import type { BucketSize } from "./buckets.ts";

/**
 * `ts_latest` has one row for each writer (session): a writer knows what it has written itself, so it never replaces its
 * own value by an older one, and readers take the newest of the rows. That needs no conditional write and no clock.
 */
export const schema = (bucketSize: BucketSize): SchemaPlan => ({
  component: "timeseries",
  layout: `bucket ${bucketSize}`,
  steps: [
    [
      `CREATE TABLE IF NOT EXISTS $ks.ts_points (entity_type text, entity_id text, key text, bucket bigint, ts bigint,
        value blob, PRIMARY KEY ((entity_type, entity_id, key, bucket), ts))`,
      `CREATE TABLE IF NOT EXISTS $ks.ts_buckets (entity_type text, entity_id text, key text, bucket bigint,
        PRIMARY KEY ((entity_type, entity_id, key), bucket))`,
      `CREATE TABLE IF NOT EXISTS $ks.ts_keys (entity_type text, entity_id text, key text,
        PRIMARY KEY ((entity_type, entity_id), key))`,
      `CREATE TABLE IF NOT EXISTS $ks.ts_latest (entity_type text, entity_id text, key text, writer text, ts bigint,
        value blob, PRIMARY KEY ((entity_type, entity_id), key, writer))`,
    ],
  ],
});

const entity = "entity_type = ? AND entity_id = ?";
const series = `${entity} AND key = ?`;
const partition = `${series} AND bucket = ?`;
const points = `FROM ts_points WHERE ${partition} AND ts >= ? AND ts < ?`;
const latest = "SELECT key, writer, ts, value, WRITETIME(value) AS written FROM ts_latest";

const statement = (purpose: string, cql: string): Statement => ({ purpose, cql });

export const sql = {
  putPoint: statement(
    "write points",
    "INSERT INTO ts_points (entity_type, entity_id, key, bucket, ts, value) VALUES (?, ?, ?, ?, ?, ?) " +
      "USING TTL ? AND TIMESTAMP ?",
  ),
  putBucket: statement(
    "write the list of buckets",
    "INSERT INTO ts_buckets (entity_type, entity_id, key, bucket) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
  ),
  putKey: statement(
    "write the list of keys",
    "INSERT INTO ts_keys (entity_type, entity_id, key) VALUES (?, ?, ?) USING TIMESTAMP ?",
  ),
  putLatest: statement(
    "write latest values",
    "INSERT INTO ts_latest (entity_type, entity_id, key, writer, ts, value) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
  ),
  dropLatest: statement(
    "remove latest values",
    `DELETE FROM ts_latest USING TIMESTAMP ? WHERE ${series} AND writer = ?`,
  ),
  latest: statement("read latest values", `${latest} WHERE ${entity} AND key IN ?`),
  allLatest: statement("read latest values", `${latest} WHERE ${entity}`),
  bucketsAscending: statement(
    "read the list of buckets",
    `SELECT bucket FROM ts_buckets WHERE ${series} AND bucket >= ? AND bucket <= ? ORDER BY bucket ASC`,
  ),
  bucketsDescending: statement(
    "read the list of buckets",
    `SELECT bucket FROM ts_buckets WHERE ${series} AND bucket >= ? AND bucket <= ? ORDER BY bucket DESC`,
  ),
  pointsAscending: statement("read points", `SELECT ts, value ${points} ORDER BY ts ASC LIMIT ?`),
  pointsDescending: statement("read points", `SELECT ts, value ${points} ORDER BY ts DESC LIMIT ?`),
  removePoints: statement(
    "remove points",
    `DELETE FROM ts_points USING TIMESTAMP ? WHERE ${partition} AND ts >= ? AND ts < ?`,
  ),
  keys: statement("read the list of keys", `SELECT key FROM ts_keys WHERE ${entity}`),
  forgetPoints: statement("forget points", `DELETE FROM ts_points USING TIMESTAMP ? WHERE ${partition}`),
  forgetBuckets: statement("forget buckets", `DELETE FROM ts_buckets USING TIMESTAMP ? WHERE ${series}`),
  forgetLatest: statement("forget latest values", `DELETE FROM ts_latest USING TIMESTAMP ? WHERE ${entity}`),
  forgetKeys: statement("forget keys", `DELETE FROM ts_keys USING TIMESTAMP ? WHERE ${entity}`),
};

export const entityColumns = ({ entityType, id }: EntityId): [string, string] => [entityType, id];
