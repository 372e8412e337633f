import type { EntityId, Sample, Value } from "@heddle/plugin-sdk";
import type { WorkerLink } from "@heddle/sqlite-driver";
import { BatchBuilder } from "./batch.ts";
import type { Batch } from "./engine.ts";
import { fault } from "./faults.ts";
import { isText } from "./points.ts";
import { kindOf, textOf } from "./values.ts";

export interface AppenderOptions {
  /** Commits begin at least so far apart, ms. */
  readonly intervalMs?: number;
  readonly pause?: (ms: number) => Promise<void>;
  /** Bytes of one commit; more begin the next. */
  readonly batchBytes: number;
  /** Bytes that may wait for the disk, the running commit included. */
  readonly pendingBytes: number;
  /** Series that have a link number at once. */
  readonly series: number;
  readonly link: Pick<WorkerLink, "send">;
  elapsed(): number;
  committed(commit: { readonly seconds: number; readonly points: number; readonly error: unknown }): void;
}

/** A batch and the one promise of all its callers. */
interface Pending {
  readonly builder: BatchBuilder;
  readonly ttl: number;
  readonly reset: boolean;
  readonly done: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** The link numbers of one entity's series. Ids are unique but for tests and mistakes: then the type is in the name. */
interface Links {
  readonly entityType: string;
  readonly byKey: Map<string, number>;
}

/** Collects while a commit runs; what came together is durable together. */
export class Appender {
  readonly #options: AppenderOptions;
  #links = new Map<string, Links>();
  #nextLink = 0;
  #reset = false;
  #open: Pending | undefined;
  /** Full batches and ones of another TTL, oldest first. */
  readonly #sealed: Pending[] = [];
  #sealedBytes = 0;
  #sentBytes = 0;
  #sending = false;
  #room = 64;
  #running: Promise<void> | undefined;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /** Bytes that wait for the disk. */
  get pendingBytes(): number {
    return this.#sentBytes + this.#sealedBytes + (this.#open?.builder.bytes ?? 0);
  }

  append(samples: readonly Sample[], ttl: number): Promise<void> {
    const { pendingBytes, batchBytes } = this.#options;
    if (this.pendingBytes >= pendingBytes) {
      const message = `${this.pendingBytes} bytes wait for the disk, the limit is ${pendingBytes}`;
      return Promise.reject(fault("timeseries.exhausted", message));
    }
    for (const { ts, entity } of samples) {
      if (Number.isSafeInteger(ts)) continue;
      return Promise.reject(fault("timeseries.invalid", `${entity.entityType} ${entity.id}: ${ts} is no time in ms`));
    }
    if (this.#open !== undefined && (this.#open.ttl !== ttl || this.#open.builder.bytes >= batchBytes)) this.#seal();
    this.#open ??= this.#begin(ttl);
    const { builder, done } = this.#open;
    for (const sample of samples) this.#add(builder, sample);
    return done;
  }

  /** A new worker knows no link numbers: batches made of them end with `fault`, later ones name their series again. */
  relink(fault: Error): void {
    this.#seal();
    for (const { reject } of this.#sealed.splice(0)) reject(fault);
    this.#sealedBytes = 0;
    this.#forgetLinks();
  }

  /** Resolves when nothing waits for the disk. */
  async idle(): Promise<void> {
    const waiting = [...this.#sealed, ...(this.#open === undefined ? [] : [this.#open])];
    await Promise.allSettled([this.#running, ...waiting.map(({ done }) => done)]);
  }

  #begin(ttl: number): Pending {
    if (this.#nextLink > this.#options.series) this.#forgetLinks();
    let resolve!: () => void;
    let reject!: (error: unknown) => void;
    const done = new Promise<void>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    const pending = { builder: new BatchBuilder(this.#room), ttl, reset: this.#reset, done, resolve, reject };
    this.#reset = false;
    if (!this.#sending) {
      this.#sending = true;
      queueMicrotask(() => {
        this.#running = this.#sendAll();
      });
    }
    return pending;
  }

  #forgetLinks(): void {
    this.#links = new Map();
    this.#nextLink = 0;
    this.#reset = true;
  }

  #add(builder: BatchBuilder, { entity, ts, values }: Sample): void {
    let links = this.#links.get(entity.id);
    if (links?.entityType !== entity.entityType) links = this.#linksOf(entity);
    for (const key in values) {
      let link = links.byKey.get(key);
      if (link === undefined) {
        link = this.#nextLink++;
        links.byKey.set(key, link);
        builder.defines.push(entity.entityType, entity.id, key);
      }
      const value = values[key] as Value;
      const code = kindOf(value);
      if (isText(code)) builder.addText(link, ts, code, textOf(value));
      else builder.add(link, ts, code, Number(value));
    }
  }

  #linksOf({ entityType, id }: EntityId): Links {
    const name = this.#links.has(id) ? `${entityType}/${id}` : id;
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const links = { entityType, byKey: new Map<string, number>() };
    this.#links.set(name, links);
    return links;
  }

  #seal(): void {
    if (this.#open === undefined) return;
    this.#sealed.push(this.#open);
    this.#sealedBytes += this.#open.builder.bytes;
    this.#room = Math.max(64, this.#open.builder.count);
    this.#open = undefined;
  }

  /** One commit at a time: what arrives while it runs is the next. */
  async #sendAll(): Promise<void> {
    for (;;) {
      if (this.#sealed.length === 0) this.#seal();
      const next = this.#sealed.shift();
      if (next === undefined) break;
      this.#sealedBytes -= next.builder.bytes;
      const begun = this.#options.elapsed();
      this.#sentBytes = next.builder.bytes;
      await this.#send(next);
      this.#sentBytes = 0;
      // The first after a quiet time goes at once; under load fewer and larger commits cost less of everything.
      const early = (this.#options.intervalMs ?? 0) - (this.#options.elapsed() - begun);
      if (early > 0 && this.#sealed.length === 0) await this.#options.pause?.(early);
    }
    this.#sending = false;
  }

  async #send({ builder, ttl, reset, resolve, reject }: Pending): Promise<void> {
    const begun = this.#options.elapsed();
    let error: unknown;
    try {
      const body = builder.seal();
      const batch: Batch = { body, defines: builder.defines, reset, ttl };
      await this.#options.link.send("append", batch, [body]);
      resolve();
    } catch (cause) {
      error = cause;
      reject(cause);
    }
    const seconds = (this.#options.elapsed() - begun) / 1000;
    this.#options.committed({ seconds, points: builder.count, error });
  }
}
