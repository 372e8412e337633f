/*
 * The listener under 20,000 confirmable posts a second, with a platform that commits every 5 ms:
 *   node --conditions=source --import tsx plugins/transport-coap/bench/flood.ts [seconds] [rate] [sockets]
 * The sender is a process of its own; memory is that of the listener's process, sampled every 100 ms.
 */
import "reflect-metadata";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { flood } from "../testing/flood.ts";
import { serve } from "../testing/server.ts";

const [seconds = 20, rate = 20_000, sockets = 100, port] = process.argv.slice(2).map(Number);
const MB = 1024 * 1024;

if (port === undefined) await listen();
else console.log(JSON.stringify(await flood({ port, token: "T1", seconds, rate, sockets })));

async function listen(): Promise<void> {
  await using server = await serve();
  const { platform } = server;
  let group: (() => void)[] = [];
  const commits = setInterval(() => {
    const done = group;
    group = [];
    for (const resolve of done) resolve();
  }, 5);
  platform.keepTexts = false;
  platform.commit = () => new Promise((resolve) => group.push(resolve));
  const samples: number[] = [];
  const sampler = setInterval(() => samples.push(process.memoryUsage().rss / MB), 100);
  const before = { cpu: process.cpuUsage(), rss: process.memoryUsage().rss / MB };
  const text = await sender(server.port);
  const { user, system } = process.cpuUsage(before.cpu);
  clearInterval(sampler);
  clearInterval(commits);
  const { sent, answered, refused } = JSON.parse(text) as { sent: number; answered: number; refused: number };
  const seen = (what: string) => server.counts.of(`dropped/${what}`);
  console.log(`${sent} sent in ${seconds} s, ${answered} answered (${refused} not 2.01), ${platform.handled} handled`);
  console.log(`copies ${seen("duplicate")}, refused by the limit of a peer ${seen("peer-limit")}`);
  console.log(`memory ${before.rss.toFixed(0)} MB before, at most ${Math.max(...samples).toFixed(0)} MB`);
  console.log(`CPU ${((user + system) / Math.max(1, platform.handled)).toFixed(1)} us per request handled`);
}

function sender(to: number): Promise<string> {
  const again = [...process.execArgv, fileURLToPath(import.meta.url), ...[seconds, rate, sockets, to].map(String)];
  const child = spawn(process.execPath, again, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve(text));
  });
}
