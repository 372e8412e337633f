import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeNeeding, describePeerLink, describePlugin } from "@heddle/plugin-sdk/testing";
import { afterAll, beforeAll } from "vitest";
import { authority, loopback, opensslPath, room, socketRoom } from "../testing/room.ts";
import card from "./index.ts";

describePlugin(card, { config: loopback });

const frameBytes = 3_000_000;
const limits = { pendingBytes: 1_048_576, frameBytes };
/** The link's own bound, and what the buffers of two sockets may hold. */
const bounds = { frameBytes, takenBytes: 24_000_000 };

describePeerLink("TCP with a secret", { create: async () => room(limits), bounds });
describePeerLink("a Unix socket", { create: () => socketRoom(limits), bounds });

describeNeeding("openssl", opensslPath, (openssl) => {
  let folder = "";
  let tls = {};
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "peer-tls-"));
    tls = await (await authority(openssl, folder, "cluster"))("node");
  });
  afterAll(() => rm(folder, { recursive: true }));

  describePeerLink("TCP with mutual TLS", { create: async () => room({ ...limits, tls, secret: undefined }), bounds });
});
