import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describePlugin } from "@heddle/plugin-sdk/testing";
import { afterAll } from "vitest";
import card from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "heddle-card-"));
afterAll(() => rmSync(folder, { recursive: true }));

describePlugin(card, { config: { file: join(folder, "entities.db") } });
