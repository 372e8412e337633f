/** True when a version lies in a range of `^ ~ >= > <= < =`, `x`, spaces for and, `||` for or. */
export function satisfies(version: string, range: string): boolean {
  const actual = parse(version);
  if (actual === undefined) return false;
  return range.split("||").some((all) => {
    const parts = all
      .trim()
      .replaceAll(/([<>=^~])\s+/g, "$1")
      .split(/\s+/);
    return parts.every((part) => holds(actual, part));
  });
}

type Version = readonly [major: number, minor: number, patch: number];

function parse(text: string): Version | undefined {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch)];
}

function holds(actual: Version, part: string): boolean {
  const match = /^(\^|~|>=|>|<=|<|=)?v?([\dxX*]+)(?:\.([\dxX*]+))?(?:\.([\dxX*]+))?/.exec(part);
  if (match === null) return part === "" || part === "*";
  const [, operator = "", ...texts] = match;
  const given = texts.filter((text) => text !== undefined && /^\d+$/.test(text)).map(Number);
  const [major = 0, minor = 0, patch = 0] = given;
  const low: Version = [major, minor, patch];
  if (operator === ">=") return compare(actual, low) >= 0;
  if (operator === "<") return compare(actual, low) < 0;
  if (operator === ">")
    return compare(actual, given.length < 3 ? after(low, given.length) : low) >= (given.length < 3 ? 0 : 1);
  if (operator === "<=")
    return given.length < 3 ? compare(actual, after(low, given.length)) < 0 : compare(actual, low) <= 0;
  return compare(actual, low) >= 0 && compare(actual, upper(operator, low, given.length)) < 0;
}

function upper(operator: string, low: Version, given: number): Version {
  if (operator === "~") return after(low, Math.min(given, 2));
  if (operator !== "^") return after(low, given);
  // A caret keeps the leftmost part that is not zero.
  const [major, minor] = low;
  if (major > 0 || given < 2) return after(low, Math.min(given, 1));
  return after(low, minor > 0 || given < 3 ? 2 : 3);
}

/** The first version that differs in the last of `parts` parts. */
function after([major, minor, patch]: Version, parts: number): Version {
  if (parts === 0) return [Number.POSITIVE_INFINITY, 0, 0];
  if (parts === 1) return [major + 1, 0, 0];
  return parts === 2 ? [major, minor + 1, 0] : [major, minor, patch + 1];
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || 0;
}
