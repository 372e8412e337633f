import { createHash, randomBytes } from "node:crypto";
import type { RestClient } from "../e2e/rest-client.ts";
import type { Server } from "../e2e/server.ts";
import { Client } from "./client.ts";
import { preparedServer, type Report } from "./scenarios.ts";
import { fixed, rss } from "./tools.ts";

const devices = Number(process.env["BENCH_FIRMWARE_DEVICES"] ?? 100);
const totalBytes = 10 * 2 ** 20;
const chunkBytes = 16_384;
const loss = 0.1;

/** One package to a fleet at once; every device checks the sum. */
export async function firmware(report: Report): Promise<void> {
  const { server, rest } = await preparedServer(devices);
  try {
    const sum = await assigned(server, rest);
    const over = async (name: string, file: string, port: number) => {
      await using client = new Client(file);
      const most = peak(server);
      const downloads = { port, devices, chunkBytes, totalBytes, loss };
      const { sums, seconds, sent, lost } = await client.call<Downloaded>("run", downloads);
      const right = sums.filter((one) => one === sum).length;
      const rate = (totalBytes * devices) / seconds / 2 ** 20;
      report({
        what: `firmware of 10 MB to ${devices} devices at once, ${name}`,
        measured: `${right} of ${devices} SHA-256 right, ${fixed(seconds)} s, ${fixed(rate)} MB/s`,
        goal: "all right",
      });
      if (sent > 0) report({ what: "  requests sent, datagrams lost", measured: `${sent}, ${lost}`, goal: "" });
      report({ what: "  resident memory, most", measured: `${fixed(most() / 2 ** 20, 0)} MB`, goal: "" });
    };
    await over(`MQTT, chunks of ${chunkBytes / 1_024} KB`, "firmware-mqtt.ts", server.port("MQTT"));
    await over(`CoAP, Block2 of 1 KB, ${loss * 100} % lost each way`, "firmware-coap.ts", server.port("CoAP"));
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

interface Downloaded {
  readonly sums: readonly string[];
  readonly seconds: number;
  readonly sent: number;
  readonly lost: number;
}

/** A package of the default profile; its SHA-256. */
async function assigned(server: Server, rest: RestClient): Promise<string> {
  const { id: profileId } = await rest.get("/api/deviceProfileInfo/default");
  const info = { title: "bench", version: "1", type: "FIRMWARE", deviceProfileId: profileId };
  const { id } = await rest.post("/api/otaPackage", info);
  const file = randomBytes(totalBytes);
  const form = new FormData();
  form.append("file", new Blob([file]), "bench.bin");
  const answer = await fetch(`${server.http}/api/otaPackage/${id.id}?checksumAlgorithm=SHA256`, {
    method: "POST",
    headers: { "x-authorization": `Bearer ${rest.token}` },
    body: form,
  });
  if (answer.status !== 200) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
  const profile = await rest.get(`/api/deviceProfile/${profileId.id}`);
  await rest.post("/api/deviceProfile", { ...profile, firmwareId: id });
  return createHash("sha256").update(file).digest("hex");
}

/** The most that the server had resident so far. */
function peak(server: Server): () => number {
  let most = 0;
  const look = () => {
    most = Math.max(most, rss(server.process.pid ?? 0));
  };
  const timer = setInterval(look, 500);
  return () => {
    clearInterval(timer);
    look();
    return most;
  };
}
