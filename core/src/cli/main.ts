import "reflect-metadata";
import { asFault } from "@heddle/plugin-sdk";
import { type Command, exit, type Flag, parse, type Terminal, UsageError } from "./command.ts";

interface Entry {
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** Most arguments after the command's own words. */
  readonly takes: number;
  /** Imported only when asked for: `--help` and `run` must not pay for the others. */
  readonly load: () => Promise<Command>;
}

const commands: Readonly<Record<string, Entry>> = {
  run: {
    usage: "heddle run [manifest] [--set path=value]… [--demo] [--json]",
    summary: "Check a distribution, then run it.",
    flags: ["set", "demo", "json"],
    takes: 1,
    load: async () => (await import("./run.ts")).run,
  },
  check: {
    usage: "heddle check [manifest] [--set path=value]… [--connect] [--json]",
    summary: "Tell every problem of a manifest and start nothing; --connect also starts and stops the back-ends.",
    flags: ["set", "connect", "json"],
    takes: 1,
    load: async () => (await import("./check.ts")).check,
  },
  "plugins list": {
    usage: "heddle plugins list [manifest] [--set path=value]… [--json]",
    summary: "What is loaded, from where, and who provides what to whom.",
    flags: ["set", "json"],
    takes: 1,
    load: async () => (await import("./plugins.ts")).list,
  },
  "plugins show": {
    usage: "heddle plugins show <role> [manifest] [--set path=value]… [--json]",
    summary: "One plugin: its fields, needs, capabilities, metrics and faults.",
    flags: ["set", "json"],
    takes: 2,
    load: async () => (await import("./plugins.ts")).show,
  },
  "cluster status": {
    usage: "heddle cluster status [--url http://host:port] [--json]",
    summary: "Members, epochs, partitions per node and lag per lane, as a running node sees them.",
    flags: ["url", "json"],
    takes: 0,
    load: async () => (await import("./cluster.ts")).status,
  },
  "config schema": {
    usage: "heddle config schema [manifest] [--set path=value]… [--json]",
    summary: "The JSON Schema of this distribution's manifests, for editors.",
    flags: ["set", "json"],
    takes: 1,
    load: async () => (await import("./config.ts")).schema,
  },
  "config print": {
    usage: "heddle config print [manifest] [--set path=value]… [--json]",
    summary: "The merged manifest with the origin of each value; secrets are masked.",
    flags: ["set", "json"],
    takes: 1,
    load: async () => (await import("./config.ts")).print,
  },
};

const help = [
  "Usage: heddle <command>",
  "",
  ...Object.values(commands).map(({ usage, summary }) => `  ${usage}\n      ${summary}`),
  "",
  "The manifest is ./manifest.yaml unless named.",
  "Exit codes: 0 ok, 1 problems in the manifest, 2 wrong usage, 3 failed to start, 4 no node answers, 70 a defect of heddle itself.",
].join("\n");

/** Runs one command line and answers its exit code; never throws. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { positionals, help: wantsHelp, version, given, line } = parse(args);
    if (version) {
      terminal.out((await import("../host/load.ts")).kernelVersion());
      return exit.ok;
    }
    const [name, entry] = find(positionals);
    if (wantsHelp || positionals.length === 0) {
      const text = entry === undefined ? help : `${entry.usage}\n\n${entry.summary}`;
      (wantsHelp ? terminal.out : terminal.err)(text);
      return wantsHelp ? exit.ok : exit.usage;
    }
    if (entry === undefined) throw new UsageError(`there is no command "${positionals.slice(0, 2).join(" ")}"`);
    const foreign = given.find((flag) => flag !== "help" && !entry.flags.includes(flag as Flag));
    if (foreign !== undefined) throw new UsageError(`heddle ${name} does not take --${foreign}`);
    const rest = positionals.slice(name.split(" ").length);
    if (rest.length > entry.takes) throw new UsageError(`"${rest[entry.takes]}" is one argument too many`);
    const command = await entry.load();
    return await command({ ...line, positionals: rest }, terminal);
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.err(`${error.message}\n\nheddle --help shows what can be asked.`);
      return exit.usage;
    }
    const fault = asFault(error);
    terminal.err(`heddle failed: ${fault.message}`);
    if (fault.cause instanceof Error && fault.code === "internal") terminal.err(fault.cause.stack ?? "");
    return exit.internal;
  }
}

function find(positionals: readonly string[]): readonly [string, Entry | undefined] {
  const [first = "", second = ""] = positionals;
  const name = Object.hasOwn(commands, `${first} ${second}`) ? `${first} ${second}` : first;
  return [name, Object.hasOwn(commands, name) ? commands[name] : undefined];
}
