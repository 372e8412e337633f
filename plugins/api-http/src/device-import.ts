import {
  type CallOptions,
  type CredentialsDraft,
  castText,
  type DeviceDocument,
  type Doer,
  invalid,
  Json,
  type Stored,
  type Value,
} from "@heddle/plugin-sdk";
import { importCredentials } from "./import-credentials.ts";
import type { Services } from "./services.ts";

export interface ImportRow {
  readonly columns: readonly { readonly type: string; readonly key?: string | null }[];
  readonly cells: readonly string[];
  /** Values of a device that exists are written, too. */
  readonly update: boolean;
}

type Values = Record<string, Value>;
const noValues = (): Values => Object.create(null);

/** What a row says of a device; empty cells say nothing (rest-semantics 19.2, 19.3). */
interface Content {
  readonly fields: Readonly<Record<string, string>>;
  readonly shared: Values;
  readonly server: Values;
  readonly series: Values;
}

function contentOf({ columns, cells }: ImportRow): Content {
  const content = { fields: {} as Record<string, string>, shared: noValues(), server: noValues(), series: noValues() };
  const values: Readonly<Record<string, Values>> = {
    SHARED_ATTRIBUTE: content.shared,
    SERVER_ATTRIBUTE: content.server,
    TIMESERIES: content.series,
  };
  for (const [at, { type, key }] of columns.entries()) {
    const cell = cells[at] ?? "";
    if (cell === "") continue;
    const kept = values[type];
    if (kept === undefined) content.fields[type] = cell;
    else kept[key ?? ""] = typedCell(cell);
  }
  return content;
}

/** Boolean, number, JSON or text. */
function typedCell(cell: string): Value {
  if (/^(?:true|false)$/i.test(cell)) return cell.toLowerCase() === "true";
  if (/^\s*[{[]/.test(cell)) {
    try {
      return new Json(JSON.stringify(JSON.parse(cell)));
    } catch {
      // It only begins like JSON: a text.
      return cell;
    }
  }
  return castText(cell);
}

/** Devices of a table, one by one: made, or changed when the name is known. */
export class DeviceImport {
  readonly #services: Services;
  readonly #tenantId: string;
  readonly #by: Doer;

  constructor(services: Services, tenantId: string, by: Doer) {
    this.#services = services;
    this.#tenantId = tenantId;
    this.#by = by;
  }

  async row(row: ImportRow, call: CallOptions): Promise<"created" | "updated"> {
    const content = contentOf(row);
    const name = content.fields["NAME"]?.trim();
    if (name === undefined || name === "") throw invalid("Device name should be specified!");
    const credentials = importCredentials(content.fields);
    const tenantId = this.#tenantId;
    const { registry } = this.#services;
    const [before] = (await registry.devices.find({ where: { tenantId, name }, limit: 1 }, call)).items;
    const saved = await this.#save({ name, content, before, credentials }, call);
    if (before === undefined || row.update) await this.#values(saved.value, content, call);
    return before === undefined ? "created" : "updated";
  }

  async #save(
    what: {
      readonly name: string;
      readonly content: Content;
      readonly before: Stored<DeviceDocument> | undefined;
      readonly credentials: CredentialsDraft | undefined;
    },
    call: CallOptions,
  ): Promise<Stored<DeviceDocument>> {
    const { registry } = this.#services;
    const { name, content, before, credentials } = what;
    const { TYPE: type, LABEL: label, DESCRIPTION: description, IS_GATEWAY: gateway } = content.fields;
    const additionalInfo = {
      ...before?.value.additionalInfo,
      ...(description === undefined ? {} : { description }),
      ...(gateway === undefined ? {} : { gateway: /^(?:true|1|yes)$/i.test(gateway) }),
    };
    // The name of a type decides only where no profile is named.
    const { deviceProfileId, type: _type, ...rest } = before?.value ?? {};
    const profile = type !== undefined || deviceProfileId === undefined ? {} : { deviceProfileId };
    const typed = type === undefined ? {} : { type };
    const device = { ...rest, ...profile, ...typed, ...(label === undefined ? {} : { label }), name, additionalInfo };
    const tenantId = this.#tenantId;
    const made = before === undefined && credentials !== undefined ? { credentials } : {};
    const saved = await registry.save({ tenantId, device, by: this.#by, ...made }, call);
    if (before !== undefined && credentials !== undefined) await this.#replace(saved.value.id, credentials, call);
    return saved;
  }

  async #replace(deviceId: string, draft: CredentialsDraft, call: CallOptions): Promise<void> {
    const { registry } = this.#services;
    const current = await registry.credentials(deviceId, call);
    const credentials = { ...draft, ...(current === undefined ? {} : { id: current.value.id }), deviceId };
    await registry.saveCredentials({ tenantId: this.#tenantId, credentials, by: this.#by }, call);
  }

  async #values({ id }: DeviceDocument, { shared, server, series }: Content, call: CallOptions): Promise<void> {
    const { telemetry, world } = this.#services;
    const entity = { entityType: "DEVICE", id };
    const scopes = [
      ["SHARED_SCOPE", shared],
      ["SERVER_SCOPE", server],
    ] as const;
    for (const [scope, values] of scopes) {
      if (Object.keys(values).length === 0) continue;
      const write = { tenantId: this.#tenantId, entity, scope, values, notifyDevice: true };
      await telemetry.saveAttributes(write, call);
    }
    if (Object.keys(series).length > 0) {
      await telemetry.save(this.#tenantId, [{ entity, ts: world.now(), values: series }], call);
    }
  }
}
