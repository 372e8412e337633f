/** Topics and filters of MQTT 3.1.1, 4.7, within one tenant's space. */

export type DeviceTopic = "telemetry" | "attributes" | "event";
export const deviceTopics: readonly DeviceTopic[] = ["telemetry", "attributes", "event"];
const mostLevels = 32;
/** Bytes of a topic or filter below the tenant's prefix. */
export const longestTopic = 1_024;

export const spaceOf = (tenantId: string): string => `tenant/${tenantId}/`;

export const deviceTopic = (tenantId: string, deviceId: string, what: DeviceTopic): string =>
  `${spaceOf(tenantId)}device/${deviceId}/${what}`;

/** Why a filter cannot be used; undefined when it can. */
export function badFilter(filter: string): string | undefined {
  if (filter === "") return "a topic filter must not be empty";
  if (Buffer.byteLength(filter) > longestTopic) return `a topic filter takes at most ${longestTopic} bytes`;
  const levels = filter.split("/");
  if (levels.length > mostLevels) return `a topic filter has at most ${mostLevels} levels`;
  for (const [at, level] of levels.entries()) {
    if (level.includes("+") && level !== "+") return "+ stands for one whole level";
    if (level.includes("#") && (level !== "#" || at !== levels.length - 1))
      return "# stands at the end, for all that follows";
  }
  return filter.startsWith("$") ? "topics that begin with $ are the broker's own" : undefined;
}

/** Whether every topic that `wanted`, a topic or a filter, matches is matched by `allowed` too. */
export function covers(allowed: string, wanted: string): boolean {
  const [outer, inner] = [allowed.split("/"), wanted.split("/")];
  for (const [at, level] of outer.entries()) {
    if (level === "#") return true;
    const other = inner[at];
    // A filter that ends in # matches its parent level as well.
    if (other === undefined || other === "#") return false;
    if (level !== "+" && level !== other) return false;
  }
  return outer.length === inner.length;
}

/** The part of a topic below the tenant's prefix; undefined when it lies elsewhere. */
export function topicWithin(tenantId: string, topic: string): string | undefined {
  const space = spaceOf(tenantId);
  return topic.startsWith(space) && topic.length > space.length ? topic.slice(space.length) : undefined;
}

/** What a filter matches below the tenant's prefix, as a filter; undefined when it matches nothing there. */
export function filterWithin(tenantId: string, filter: string): string | undefined {
  const [root = "", tenant, ...rest] = filter.split("/");
  if (root === "#") return "#";
  if (root !== "tenant" && root !== "+") return undefined;
  if (tenant === "#") return "#";
  if (tenant !== tenantId && tenant !== "+") return undefined;
  return rest.length === 0 ? undefined : rest.join("/");
}

/** Devices and kinds of data that a filter below the tenant's prefix asks for; undefined when it matches none. */
export function devicesOf(
  filter: string,
): { readonly device: string | "all"; readonly what: readonly DeviceTopic[] } | undefined {
  const [root, device = "", what = "", ...more] = filter.split("/");
  if (root === "#") return { device: "all", what: deviceTopics };
  if (root !== "device" && root !== "+") return undefined;
  if (device === "#") return { device: "all", what: deviceTopics };
  if (device === "" || (more.length > 0 && more[0] !== "#")) return undefined;
  const kinds = what === "#" || what === "+" ? deviceTopics : deviceTopics.filter((kind) => kind === what);
  return kinds.length === 0 ? undefined : { device: device === "+" ? "all" : device, what: kinds };
}
