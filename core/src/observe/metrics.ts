import type { Metric, MetricSpec } from "@heddle/plugin-sdk";

type Labels = Readonly<Record<string, string>>;
/** What a callback gauge answers: one value, or one per combination of labels. */
export type Reading = number | readonly { readonly labels: Labels; readonly value: number }[];

/** Combinations of label values per metric; further ones are counted together under the label value `other`. */
export const maxSeries = 1_000;

const defaultBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Family {
  readonly kind: MetricSpec["kind"];
  readonly help: string;
  readonly sources: (() => Iterable<string>)[];
}

/** The metrics of one node, printed in the Prometheus text exposition format 0.0.4. */
export class MetricRegistry {
  readonly #families = new Map<string, Family>();

  /** A metric under its full name; `constant` labels tell equal metrics of several plugins apart. */
  metric(name: string, spec: Omit<MetricSpec, "unit">, constant: Labels = {}): Metric {
    const series = new SeriesTable(name, spec, constant);
    this.#family(name, spec).sources.push(() => series.lines());
    return series;
  }

  /** A gauge that is read when it is printed. */
  gauge(name: string, help: string, read: () => Reading): void {
    this.#family(name, { kind: "gauge", help }).sources.push(() => readingLines(name, read()));
  }

  /** A counter that something else keeps. */
  counter(name: string, help: string, read: () => Reading): void {
    this.#family(name, { kind: "counter", help }).sources.push(() => readingLines(name, read()));
  }

  text(): string {
    const out: string[] = [];
    for (const [name, { kind, help, sources }] of this.#families) {
      out.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`);
      for (const source of sources) for (const line of source()) out.push(line);
    }
    return `${out.join("\n")}\n`;
  }

  #family(name: string, { kind, help }: { kind: MetricSpec["kind"]; help: string }): Family {
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new Error(`"${name}" is no name of a metric`);
    const known = this.#families.get(name);
    if (known !== undefined && known.kind !== kind)
      throw new Error(`metric ${name} is both a ${known.kind} and a ${kind}`);
    const family = known ?? { kind, help, sources: [] };
    this.#families.set(name, family);
    return family;
  }
}

/** `[value]` of a counter or gauge; of a histogram the counts per bucket, the count above all of them, and the sum. */
type Cells = Float64Array;
/** A level of maps per label, so that finding a series builds no text. */
type Level = Map<string, Level | Series>;
interface Series {
  readonly labels: string;
  readonly cells: Cells;
}

class SeriesTable implements Metric {
  readonly #name: string;
  readonly #kind: MetricSpec["kind"];
  readonly #labelNames: readonly string[];
  readonly #constant: Labels;
  readonly #buckets: readonly number[];
  readonly #all: Series[] = [];
  readonly #first: Level = new Map();
  #bare: Series | undefined;

  constructor(name: string, spec: Omit<MetricSpec, "unit">, constant: Labels) {
    this.#name = name;
    this.#kind = spec.kind;
    this.#labelNames = spec.labels ?? [];
    this.#constant = constant;
    this.#buckets = (spec.buckets ?? defaultBuckets).toSorted((a, b) => a - b);
    // What has no labels is there from the first scrape, at zero.
    if (this.#labelNames.length === 0) this.#bare = this.#add([]);
  }

  record(value: number, labels?: Labels): void {
    const { cells } = this.#bare ?? this.#find(labels);
    if (this.#kind === "gauge") cells[0] = value;
    else if (this.#kind === "counter") cells[0]! += value;
    else this.#observe(cells, value);
  }

  *lines(): Generator<string> {
    for (const { labels, cells } of this.#all) {
      if (this.#kind === "histogram") yield* this.#histogramLines(labels, cells);
      else yield `${this.#name}${braces(labels)} ${numberText(cells[0]!)}`;
    }
  }

  #observe(cells: Cells, value: number): void {
    const buckets = this.#buckets;
    let index = 0;
    while (index < buckets.length && value > buckets[index]!) index++;
    cells[index]! += 1;
    cells[buckets.length + 1]! += value;
  }

  #find(labels: Labels | undefined): Series {
    const names = this.#labelNames;
    const last = names.length - 1;
    let level = this.#first;
    for (let i = 0; i < last; i++) {
      const value = labels?.[names[i]!] ?? "";
      let next = level.get(value);
      if (next === undefined) {
        if (this.#all.length >= maxSeries) return this.#overflow();
        next = new Map();
        level.set(value, next);
      }
      level = next as Level;
    }
    const value = labels?.[names[last]!] ?? "";
    const known = level.get(value);
    if (known !== undefined) return known as Series;
    if (this.#all.length >= maxSeries) return this.#overflow();
    const made = this.#add(names.map((name) => labels?.[name] ?? ""));
    level.set(value, made);
    return made;
  }

  #other: Series | undefined;
  #overflow(): Series {
    this.#other ??= this.#add(this.#labelNames.map(() => "other"));
    return this.#other;
  }

  #add(values: readonly string[]): Series {
    const named = this.#labelNames.map((name, index) => [name, values[index]!] as const);
    const size = this.#kind === "histogram" ? this.#buckets.length + 2 : 1;
    const labels = labelText([...Object.entries(this.#constant), ...named]);
    const series = { labels, cells: new Float64Array(size) };
    this.#all.push(series);
    return series;
  }

  *#histogramLines(labels: string, cells: Cells): Generator<string> {
    const comma = labels === "" ? "" : ",";
    let count = 0;
    for (const [index, bound] of this.#buckets.entries()) {
      count += cells[index]!;
      yield `${this.#name}_bucket{${labels}${comma}le="${bound}"} ${count}`;
    }
    count += cells[this.#buckets.length]!;
    yield `${this.#name}_bucket{${labels}${comma}le="+Inf"} ${count}`;
    yield `${this.#name}_sum${braces(labels)} ${numberText(cells[this.#buckets.length + 1]!)}`;
    yield `${this.#name}_count${braces(labels)} ${count}`;
  }
}

function readingLines(name: string, reading: Reading): readonly string[] {
  if (typeof reading === "number") return [`${name} ${numberText(reading)}`];
  return reading.map(({ labels, value }) => `${name}${braces(labelText(Object.entries(labels)))} ${numberText(value)}`);
}

const braces = (labels: string): string => (labels === "" ? "" : `{${labels}}`);

function labelText(labels: readonly (readonly [string, string])[]): string {
  return labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(",");
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');
