/**
 * The permissive JSON reader of device-api 0.2. Shells eat quotes and firmware writes what it likes, so it takes what
 * strict JSON refuses, and it keeps the source text of every number.
 */
export type Node =
  | { readonly type: "null" }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "number"; readonly text: string }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "array"; readonly items: readonly Node[] }
  | { readonly type: "object"; readonly members: ReadonlyMap<string, Node> };

/** Containers in containers; deeper documents are refused before they exhaust the stack. */
const deepest = 256;
const numberText = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const nothing: Node = { type: "null" };

/** Throws `SyntaxError` with the offset of what cannot be read. Text without any document reads as null. */
export function readLenientJson(text: string): Node {
  return new Reader(text).document();
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text.replace(/^\uFEFF/, "").replace(/^\)\]\}'\n/, "");
  }

  document(): Node {
    this.#skip();
    if (this.#ended) return nothing;
    const node = this.#value(0);
    this.#skip();
    if (!this.#ended) this.#fail("something after the document");
    return node;
  }

  get #ended(): boolean {
    return this.#at >= this.#text.length;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #fail(what: string): never {
    throw new SyntaxError(`${what} at offset ${this.#at}`);
  }

  /** White space and the three kinds of comments. */
  #skip(): void {
    for (;;) {
      const c = this.#peek();
      if (c === " " || c === "\t" || c === "\n" || c === "\r") this.#at++;
      else if (c === "#" || this.#text.startsWith("//", this.#at)) this.#line();
      else if (this.#text.startsWith("/*", this.#at)) this.#block();
      else return;
    }
  }

  #line(): void {
    while (!this.#ended && this.#peek() !== "\n" && this.#peek() !== "\r") this.#at++;
  }

  #block(): void {
    const end = this.#text.indexOf("*/", this.#at + 2);
    if (end < 0) this.#fail("a comment without an end");
    this.#at = end + 2;
  }

  #value(depth: number): Node {
    if (depth > deepest) this.#fail(`more than ${deepest} containers in each other`);
    const c = this.#peek();
    if (c === "{") return this.#object(depth);
    if (c === "[") return this.#array(depth);
    if (c === '"' || c === "'") return { type: "string", value: this.#quoted(c) };
    return this.#bare();
  }

  #object(depth: number): Node {
    const members = new Map<string, Node>();
    this.#at++;
    this.#skip();
    if (this.#peek() === "}") {
      this.#at++;
      return { type: "object", members };
    }
    for (;;) {
      this.#skip();
      const name = this.#name();
      this.#skip();
      this.#separator();
      this.#skip();
      const value = this.#value(depth + 1);
      members.delete(name);
      members.set(name, value);
      this.#skip();
      const c = this.#peek();
      this.#at++;
      if (c === "}") return { type: "object", members };
      if (c !== "," && c !== ";") this.#fail("a member that does not end");
    }
  }

  #name(): string {
    const c = this.#peek();
    if (c === '"' || c === "'") return this.#quoted(c);
    const name = this.#unquoted();
    if (name === "") this.#fail("a member without a name");
    return name;
  }

  #separator(): void {
    const c = this.#peek();
    if (c !== ":" && c !== "=") this.#fail("a name without a value");
    this.#at++;
    if (c === "=" && this.#peek() === ">") this.#at++;
  }

  /** Empty slots are null: `[1,,2]`. */
  #array(depth: number): Node {
    const items: Node[] = [];
    this.#at++;
    this.#skip();
    if (this.#peek() === "]") {
      this.#at++;
      return { type: "array", items };
    }
    for (;;) {
      this.#skip();
      const c = this.#peek();
      items.push(c === "," || c === ";" || c === "]" ? nothing : this.#value(depth + 1));
      this.#skip();
      const end = this.#peek();
      this.#at++;
      if (end === "]") return { type: "array", items };
      if (end !== "," && end !== ";") this.#fail("an element that does not end");
    }
  }

  #quoted(quote: string): string {
    this.#at++;
    let value = "";
    for (let start = this.#at; ; ) {
      const c = this.#peek();
      if (c === "") this.#fail("a text without an end");
      if (c === quote) {
        value += this.#text.slice(start, this.#at++);
        return value;
      }
      if (c === "\\") {
        value += this.#text.slice(start, this.#at) + this.#escape();
        start = this.#at;
      } else this.#at++;
    }
  }

  #escape(): string {
    const c = this.#text.charAt(this.#at + 1);
    this.#at += 2;
    if (c === "u") {
      const hex = this.#text.slice(this.#at, this.#at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) this.#fail("a bad \\u escape");
      this.#at += 4;
      return String.fromCharCode(Number.parseInt(hex, 16));
    }
    if (c === "") this.#fail("a text without an end");
    return escapes[c] ?? c;
  }

  #unquoted(): string {
    const start = this.#at;
    while (!this.#ended && !/[{}[\]:,;=\s#/\\"']/.test(this.#peek())) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  #bare(): Node {
    const text = this.#unquoted();
    if (text === "") this.#fail("a missing value");
    switch (text.toLowerCase()) {
      case "null":
        return nothing;
      case "true":
        return { type: "boolean", value: true };
      case "false":
        return { type: "boolean", value: false };
    }
    // "1." is text, although it begins like a number (device-api 0.3).
    return numberText.test(text) && !text.endsWith(".") ? { type: "number", text } : { type: "string", value: text };
  }
}
