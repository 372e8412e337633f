import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { nearest } from "./nearest.ts";
import type { Problems } from "./problems.ts";
import { type MapNode, mapScalars, nodeAt, pathText, type Scalar } from "./tree.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

interface Found {
  readonly text: string;
  readonly secret?: boolean;
}
class NotFound extends Error {
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

const pattern = /\$\$|\$\{([^}]*)(\}?)/g;

/** Expands `${env:…}`, `${file:…}` and `${secret:…}` once; what they bring is never read again as YAML or expanded. */
export function interpolate(tree: MapNode, env: Environment, problems: Problems): MapNode {
  const named = nodeAt(tree, ["node", "secretsDir"]);
  let secretsDir: string | undefined;
  if (named?.kind === "scalar" && typeof named.value === "string") {
    // Problems of this field are reported when the whole tree is expanded.
    try {
      secretsDir = resolve(named.at.dir, expand(named, { env, secretsDir: undefined }).text);
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
    }
  }
  const expanded = mapScalars(tree, (scalar, path) => {
    if (typeof scalar.value !== "string" || !scalar.value.includes("$")) return scalar;
    try {
      const { text, secret, changed } = expand(scalar, { env, secretsDir });
      if (!changed) return { ...scalar, value: text };
      return { kind: "scalar", at: scalar.at, value: text, text, ...(secret ? { secret } : {}) };
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      problems.add({ at: scalar.at, path: pathText(path), message: error.message, hint: error.hint });
      return { ...scalar, failed: true };
    }
  });
  return expanded as MapNode;
}

interface Sources {
  readonly env: Environment;
  readonly secretsDir: string | undefined;
}

function expand(scalar: Scalar, from: Sources): Found & { readonly changed: boolean } {
  let secret = false;
  let changed = false;
  const text = String(scalar.value).replace(
    pattern,
    (whole, inside: string | undefined, closed: string | undefined) => {
      if (whole === "$$") return "$";
      if (closed !== "}")
        throw new NotFound(`"${whole.slice(0, 20)}" is not closed`, "write $$ for a literal dollar sign");
      const found = lookUp(inside ?? "", scalar, from);
      secret ||= found.secret ?? false;
      changed = true;
      return found.text;
    },
  );
  return { text, secret, changed };
}

function lookUp(inside: string, scalar: Scalar, from: Sources): Found {
  const colon = inside.indexOf(":");
  const scheme = colon < 0 ? inside : inside.slice(0, colon);
  const rest = inside.slice(colon + 1);
  if (colon >= 0 && scheme === "env") return variable(rest, from.env);
  if (colon >= 0 && scheme === "file") return { text: contents(resolve(scalar.at.dir, rest), `\${${inside}}`) };
  if (colon >= 0 && scheme === "secret") return secretFile(rest, from.secretsDir);
  const hint = `write \${env:NAME}, \${env:NAME:-default}, \${file:path} or \${secret:name}; $$ is a literal dollar sign`;
  throw new NotFound(`"\${${inside}}" has no scheme that is known`, hint);
}

function variable(rest: string, env: Environment): Found {
  const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/.exec(rest) ?? [];
  if (name === undefined) throw new NotFound(`"${rest}" is no name of an environment variable`);
  const text = env[name];
  // As in a shell, `:-` also stands in for a variable that is set to nothing.
  if (fallback !== undefined) return { text: text === undefined || text === "" ? fallback : text };
  if (text !== undefined) return { text };
  const near = nearest(name, Object.keys(env));
  const way = `set it, or give a default: \${env:${name}:-default}`;
  throw new NotFound(`environment variable ${name} is not set`, near ? `did you mean ${near}? Otherwise ${way}` : way);
}

function secretFile(name: string, secretsDir: string | undefined): Found {
  if (secretsDir === undefined) {
    throw new NotFound(
      `secret "${name}" cannot be read: node.secretsDir is not set`,
      "set node.secretsDir to the folder that holds it",
    );
  }
  if (name === "" || name.startsWith("/") || name.split("/").includes("..")) {
    throw new NotFound(`"${name}" is no name of a file inside node.secretsDir`);
  }
  return { text: contents(resolve(secretsDir, name), `\${secret:${name}}`), secret: true };
}

/** The text of a file without its last line end, which editors and secret stores add. */
function contents(file: string, wanted: string): string {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new NotFound(`${wanted}: cannot read ${file} (${why})`, "create the file, or correct the name");
  }
}
