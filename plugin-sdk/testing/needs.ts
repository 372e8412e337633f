import { describe } from "vitest";

/** Services that must be there: `REQUIRE=kafka,redis`. */
const required = new Set((process.env["REQUIRE"] ?? "").split(",").flatMap((name) => name.trim() || []));

/**
 * `describe` for a suite that needs a service; `where` is how to reach it, undefined when it is not there. A suite that
 * is left out says so, and fails when `REQUIRE` names the service.
 */
export function describeNeeding(service: string, where: string | undefined, suite: (where: string) => void): void {
  if (where !== undefined) {
    describe(`with ${service}`, () => suite(where));
    return;
  }
  const text = `${service} is not there: its tests are left out`;
  if (required.has(service)) {
    throw new Error(`${text}, but REQUIRE names it`);
  }
  console.warn(`SKIPPED: ${text}`);
  describe.skip(`with ${service} (not there)`, () => {});
}
