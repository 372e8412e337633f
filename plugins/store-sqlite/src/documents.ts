import type { Query } from "@heddle/plugin-sdk";
import type { Database, SqlValue, Statement } from "@heddle/sqlite-driver/worker";
import { fieldsOf, fieldValue, fold } from "./fields.ts";
import type { Declaration, FindAnswer, FoundDocument, ItemFailure, PutAnswer, WriteItem } from "./protocol.ts";
import { countSql, pageSql, type QueryShape } from "./query.ts";

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const valueColumn = (field: string): string => quote(`v:${field}`);
export const foldedColumn = (field: string): string => quote(`f:${field}`);

/** Prepared statements of queries: their shapes are few, but a caller could make many. */
const maxStatements = 300;

/** One collection: a table with the document as text, and two columns for each field that its lists name. */
export class DocumentTable {
  readonly #database: Database;
  readonly #table: string;
  readonly #fields: readonly string[];
  readonly #unique: readonly { readonly fields: readonly string[]; readonly at: number[]; readonly taken: Statement }[];
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database, declaration: Declaration) {
    this.#database = database;
    this.#table = quote(`doc:${declaration.name}`);
    this.#fields = fieldsOf([...declaration.indexes, ...declaration.unique]);
    database.exec(`CREATE TABLE IF NOT EXISTS ${this.#table}
      (id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, ${this.#columns("", " ,")} body TEXT NOT NULL)`);
    this.#addMissingColumns();
    this.#createIndexes(declaration);
    this.#unique = declaration.unique.map((fields) => {
      const all = fields.map((field) => `${valueColumn(field)} = ?`).join(" AND ");
      const taken = database.prepare(`SELECT id FROM ${this.#table} WHERE ${all} AND id <> ? LIMIT 1`);
      return { fields, at: fields.map((field) => this.#fields.indexOf(field)), taken };
    });
  }

  get(ids: readonly string[]): (FoundDocument | undefined)[] {
    const one = this.#prepare(`SELECT id, version, body FROM ${this.#table} WHERE id = ?`);
    return ids.map((id) => one.get(id) as FoundDocument | undefined);
  }

  find(query: Query): FindAnswer {
    const shape: QueryShape = {
      table: this.#table,
      value: (field) => (this.#fields.includes(field) ? valueColumn(field) : extract(field)),
      folded: (field) => (this.#fields.includes(field) ? foldedColumn(field) : `fold(${extract(field)})`),
    };
    const page = pageSql(query, shape);
    const items = this.#prepare(page.sql).all(...page.values) as FoundDocument[];
    if ((query.page ?? 0) === 0 && items.length < query.limit) return { items, total: items.length };
    const count = countSql(query, shape);
    const { total } = this.#prepare(count.sql).get(...count.values) as { total: number };
    return { items, total };
  }

  put(items: readonly WriteItem[]): PutAnswer {
    return items.map((item) => this.#putOne(item));
  }

  remove(ids: readonly string[]): number {
    const one = this.#prepare(`DELETE FROM ${this.#table} WHERE id = ?`);
    return ids.reduce((removed, id) => removed + Number(one.run(id).changes), 0);
  }

  #putOne({ id, expect, body, fields }: WriteItem): number | ItemFailure {
    const versionOf = this.#prepare(`SELECT version FROM ${this.#table} WHERE id = ?`);
    const stored = (versionOf.get(id) as { version: number } | undefined)?.version;
    const refused = this.#refusal(id, expect, stored) ?? this.#claimed(id, fields);
    if (refused !== undefined) return refused;
    const version = (stored ?? 0) + 1;
    const columns = [...fields.flatMap((value) => [value, fold(value)]), body];
    if (stored === undefined) {
      const marks = ["?", "?", ...columns.map(() => "?")].join(", ");
      const names = `id, version, ${this.#columns("", ", ")} body`;
      this.#prepare(`INSERT INTO ${this.#table} (${names}) VALUES (${marks})`).run(id, version, ...columns);
    } else {
      const sets = `version = ?, ${this.#columns(" = ?", ", ")} body = ?`;
      this.#prepare(`UPDATE ${this.#table} SET ${sets} WHERE id = ?`).run(version, ...columns, id);
    }
    return version;
  }

  #refusal(id: string, expect: WriteItem["expect"], stored: number | undefined): ItemFailure | undefined {
    if (expect === "any" || expect === (stored ?? "absent")) return undefined;
    if (expect === "absent") return { code: "store.exists", message: `${this.#table} ${id} exists already` };
    const message = `${this.#table} ${id} has version ${stored ?? "none"}, not ${expect}`;
    return { code: "store.conflict", message };
  }

  #claimed(id: string, values: readonly SqlValue[]): ItemFailure | undefined {
    for (const { fields, at, taken } of this.#unique) {
      const claim = at.map((column) => values[column] ?? null);
      if (claim.includes(null)) continue;
      if (taken.get(...claim, id) === undefined) continue;
      const message = `${this.#table} ${id}: another document has the same ${fields.join(", ")}`;
      return { code: "store.unique", message, fields };
    }
    return undefined;
  }

  /** Each field's two columns, every one followed by `after` and then `separator`. */
  #columns(after: string, separator: string): string {
    return this.#fields
      .flatMap((field) => [valueColumn(field), foldedColumn(field)].map((name) => name + after + separator))
      .join("");
  }

  /** A newer declaration may name fields that the table was made without. */
  #addMissingColumns(): void {
    const rows = this.#database.prepare(`PRAGMA table_info(${this.#table})`).all() as { name: string }[];
    const present = new Set(rows.map(({ name }) => quote(name)));
    const missing = this.#fields.filter((field) => !present.has(valueColumn(field)));
    if (missing.length === 0) return;
    for (const field of missing) {
      this.#database.exec(`ALTER TABLE ${this.#table} ADD COLUMN ${valueColumn(field)}`);
      this.#database.exec(`ALTER TABLE ${this.#table} ADD COLUMN ${foldedColumn(field)}`);
    }
    const sets = missing.map((field) => `${valueColumn(field)} = ?, ${foldedColumn(field)} = ?`).join(", ");
    const update = this.#database.prepare(`UPDATE ${this.#table} SET ${sets} WHERE id = ?`);
    for (const { id, body } of this.#database.prepare(`SELECT id, body FROM ${this.#table}`).all() as FoundDocument[]) {
      const values = missing.map((field) => fieldValue(JSON.parse(body), field));
      update.run(...values.flatMap((value) => [value, fold(value)]), id);
    }
  }

  /** Filters use the values; a sort by a list's last field uses its folded column. */
  #createIndexes({ name, indexes, unique }: Declaration): void {
    const create = (kind: string, fields: readonly string[], columns: readonly string[]) => {
      const index = quote(`${kind}:${name}:${fields.join(",")}`);
      const what = kind === "unique" ? "UNIQUE INDEX" : "INDEX";
      this.#database.exec(`CREATE ${what} IF NOT EXISTS ${index} ON ${this.#table} (${columns.join(", ")})`);
    };
    for (const fields of unique) create("unique", fields, fields.map(valueColumn));
    for (const fields of indexes) {
      create("filter", fields, fields.map(valueColumn));
      const last = fields[fields.length - 1];
      if (last !== undefined && fields.length > 1) {
        create("sort", fields, [...fields.slice(0, -1).map(valueColumn), foldedColumn(last), "id"]);
      }
    }
  }

  #prepare(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= maxStatements) this.#statements.clear();
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** A field without a column of its own. */
function extract(field: string): string {
  const path = field.split(".").map((part) => `."${part.replaceAll('"', '\\"')}"`);
  return `json_extract(body, '$${path.join("").replaceAll("'", "''")}')`;
}
