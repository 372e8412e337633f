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

  /** The ready block: a title per note, its lines indented. */
  text(): string {
    return this.#notes.map(({ title, lines }) => [title, ...lines.map((line) => `  ${line}`)].join("\n")).join("\n");
  }
}
