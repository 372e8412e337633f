import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where a program of that name lies; undefined when it is not installed. */
export function onPath(name: string): string | undefined {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
