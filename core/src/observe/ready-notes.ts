import type { ReadyNote, ReadyNotes } from "@heddle/plugin-sdk";

/** Notes that one node may hold; more is a plugin that adds them while running. */
const maxNotes = 256;

/** Keeps the notes until the node is ready, in the order in which the plugins started. */
export class CollectedNotes implements ReadyNotes {
  readonly #notes: ReadyNote[] = [];

  get notes(): readonly ReadyNote[] {
    return this.#notes;
  }

  add(note: ReadyNote): void {
    if (this.#notes.length < maxNotes) this.#notes.push(note);
  }

  /** The ready block: a title per note, its lines indented; then, with a token to try, a command of each transport. */
  text(): string {
    return [...this.#notes, ...this.#examples()]
      .map(({ title, lines }) => [title, ...lines.map((line) => `  ${line}`)].join("\n"))
      .join("\n");
  }

  #examples(): ReadyNote[] {
    const token = this.#notes.find(({ sampleToken }) => sampleToken !== undefined)?.sampleToken;
    const lines = this.#notes.flatMap(({ example }) => example?.replaceAll("{token}", token ?? "") ?? []);
    return token === undefined || lines.length === 0 ? [] : [{ title: "Try it", lines }];
  }
}
