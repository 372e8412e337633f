import {
  BatchFault,
  type CallOptions,
  type Collection,
  type CollectionSpec,
  type Condition,
  type EntityStore,
  Fault,
  type Page,
  type Plain,
  type PutItem,
  type Query,
  readTypedJson,
  type Scalar,
  type Stored,
  writeTypedJson,
} from "../../src/index.ts";

/** The reference: short and slow. Documents are kept as text, so that nobody shares an object with it. */
export class MemoryEntityStore implements EntityStore {
  readonly #collections = new Map<string, MemoryCollection<any>>();

  collection<T extends object>(spec: CollectionSpec<T>): Collection<T> {
    const known = this.#collections.get(spec.name);
    if (known !== undefined) return known;
    const made = new MemoryCollection<T>(spec);
    this.#collections.set(spec.name, made);
    return made;
  }
}

export class MemoryCollection<T extends object> implements Collection<T> {
  protected readonly spec: CollectionSpec<T>;
  protected readonly documents = new Map<string, { readonly body: string; readonly version: number }>();

  constructor(spec: CollectionSpec<T>) {
    this.spec = spec;
  }

  async get(ids: readonly string[], call: CallOptions): Promise<(Stored<T> | undefined)[]> {
    call.signal.throwIfAborted();
    return ids.map((id) => this.read(id));
  }

  async find(query: Query, call: CallOptions): Promise<Page<T>> {
    call.signal.throwIfAborted();
    const { where = {}, search, sort, page = 0, limit } = query;
    if (this.spec.listed === false && where[this.spec.id] === undefined) {
      throw new Fault("invalid", "store.invalid", `${this.spec.name} is not listed: its documents are found by id`);
    }
    const found = [...this.documents.keys()]
      .map((id) => this.read(id) as Stored<T>)
      .filter(
        ({ value }) =>
          Object.entries(where).every(([field, condition]) => holds(fieldOf(value, field), condition)) &&
          (search === undefined || search.fields.some((field) => contains(fieldOf(value, field), search.text))),
      );
    found.sort((a, b) => this.compare(a, b, sort));
    return { items: found.slice(page * limit, (page + 1) * limit), total: found.length };
  }

  async put(items: readonly PutItem<T>[], call: CallOptions): Promise<Stored<T>[]> {
    call.signal.throwIfAborted();
    const failures: { index: number; fault: Fault }[] = [];
    const stored = items.map(({ value, expect }, index) => {
      const id = value[this.spec.id] as string;
      const before = this.documents.get(id)?.version;
      const fault = this.refusal(id, expect, before) ?? this.claimed(id, value);
      if (fault !== undefined) failures.push({ index, fault });
      else this.documents.set(id, { body: writeTypedJson(value as unknown as Plain), version: (before ?? 0) + 1 });
      return { value, version: (before ?? 0) + 1 };
    });
    const [first] = failures;
    if (first !== undefined) throw new BatchFault("store.batch", first.fault.message, failures);
    return stored;
  }

  async remove(ids: readonly string[], call: CallOptions): Promise<number> {
    call.signal.throwIfAborted();
    return ids.filter((id) => this.documents.delete(id)).length;
  }

  protected read(id: string): Stored<T> | undefined {
    const found = this.documents.get(id);
    return found && { value: readTypedJson(found.body) as unknown as T, version: found.version };
  }

  protected refusal(id: string, expect: PutItem<T>["expect"], stored: number | undefined): Fault | undefined {
    if (expect === "any" || expect === (stored ?? "absent")) return undefined;
    const code = expect === "absent" ? "store.exists" : "store.conflict";
    return new Fault("conflict", code, `${this.spec.name} ${id} has version ${stored ?? "none"}, not ${expect}`);
  }

  protected claimed(id: string, value: T): Fault | undefined {
    for (const fields of this.spec.unique ?? []) {
      const claim = fields.map((field) => fieldOf(value, field));
      if (claim.includes(null)) continue;
      for (const other of this.documents.keys()) {
        const taken = fields.map((field) => fieldOf((this.read(other) as Stored<T>).value, field));
        if (other === id || !claim.every((one, at) => one === taken[at])) continue;
        const message = `${this.spec.name} ${id}: another document has the same ${fields.join(", ")}`;
        return new Fault("conflict", "store.unique", message, { data: { fields } });
      }
    }
    return undefined;
  }

  protected compare(a: Stored<T>, b: Stored<T>, sort: Query["sort"]): number {
    const ids = order(String(a.value[this.spec.id]), String(b.value[this.spec.id]));
    if (sort === undefined) return ids;
    const by = order(folded(fieldOf(a.value, sort.by)), folded(fieldOf(b.value, sort.by)));
    return (sort.order === "desc" ? -by : by) || ids;
  }
}

/** Objects, like missing fields, count as null. */
export function fieldOf(document: unknown, field: string): Scalar {
  let value = document as unknown;
  for (const part of field.split(".")) value = (value as Record<string, unknown> | null | undefined)?.[part];
  const plain = typeof value === "object" ? value?.valueOf() : value;
  return typeof plain === "object" || plain === undefined ? null : (plain as Scalar);
}

function holds(value: Scalar, condition: Condition): boolean {
  if (condition === null || typeof condition !== "object") return value === condition;
  if ("in" in condition) return condition.in.includes(value);
  const { gte, lt } = condition;
  const comparable = (bound: Scalar | undefined) => bound === undefined || typeof bound === typeof value;
  if (value === null || !comparable(gte) || !comparable(lt)) return false;
  return (gte === undefined || order(value, gte) >= 0) && (lt === undefined || order(value, lt) < 0);
}

const contains = (value: Scalar, text: string): boolean =>
  typeof value === "string" && value.toLowerCase().includes(text.toLowerCase());

const folded = (value: Scalar): Scalar => (typeof value === "string" ? value.toLowerCase() : value);

/** Null, then numbers and booleans, then texts. */
function order(a: Scalar, b: Scalar): number {
  const rank = (value: Scalar) => (value === null ? 0 : typeof value === "string" ? 2 : 1);
  if (rank(a) !== rank(b) || a === null || b === null) return rank(a) - rank(b);
  return a < b ? -1 : a > b ? 1 : 0;
}
