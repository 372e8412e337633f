import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describePlugin } from "@heddle/plugin-sdk/testing";
import { afterAll } from "vitest";
import card from "./index.ts";

const dir = mkdtempSync(join(tmpdir(), "queue-card-"));
afterAll(() => rmSync(dir, { recursive: true }));

describePlugin(card, { config: { dir } });
