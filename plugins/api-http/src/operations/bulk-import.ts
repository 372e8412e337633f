import { asFault, invalid, type Static, Type } from "@heddle/plugin-sdk";
import { csvRows } from "../csv.ts";
import { DeviceImport } from "../device-import.ts";
import { importColumns } from "../import-credentials.ts";
import { type Operation, operation, tenantOnly } from "../operation.ts";
import { Maybe, MaybeText } from "../schemas.ts";
import type { Services } from "../services.ts";

const Import = Type.Object({
  file: Type.String(),
  mapping: Type.Object({
    columns: Type.Array(Type.Object({ type: Type.String(), key: MaybeText }), { minItems: 1, maxItems: 200 }),
    delimiter: Maybe(Type.String({ minLength: 1, maxLength: 1 })),
    update: Maybe(Type.Boolean()),
    header: Maybe(Type.Boolean()),
  }),
});
const needKey = ["SHARED_ATTRIBUTE", "SERVER_ATTRIBUTE", "TIMESERIES"];
/** Rows of one table. */
const mostRows = 50_000;

/** Devices from a table (rest-semantics 19.1–19.3). */
export function bulkImportOperations(services: Services): Operation[] {
  return [
    operation({
      method: "POST",
      path: "/api/device/bulk_import",
      who: tenantOnly,
      body: Import,
      untimed: true,
      run: async ({ principal, body: { file, mapping }, call }) => {
        checkColumns(mapping.columns);
        const rows = [...csvRows(file, mapping.delimiter ?? ",")].slice(mapping.header === true ? 1 : 0);
        if (rows.length > mostRows) throw invalid(`The table has ${rows.length} rows, the limit is ${mostRows}`);
        const devices = new DeviceImport(services, principal.tenantId, principal);
        const done = { created: 0, updated: 0, errors: 0 };
        const errorsList: string[] = [];
        for (const { line, cells } of rows) {
          call.signal.throwIfAborted();
          try {
            const row = { columns: mapping.columns, cells, update: mapping.update === true };
            done[await devices.row(row, call)]++;
          } catch (error) {
            // One bad row does not stop the others; a store that is gone stops them all.
            const fault = asFault(error);
            if (fault.kind === "internal" || fault.kind === "unavailable") throw error;
            done.errors++;
            errorsList.push(`Line ${line}: ${fault.message}`);
          }
        }
        return { json: { ...done, errorsList } };
      },
    }),
  ];
}

function checkColumns(columns: Static<typeof Import>["mapping"]["columns"]): void {
  for (const { type, key } of columns) {
    if (!importColumns.has(type)) throw invalid(`Column type '${type.slice(0, 60)}' is not supported!`);
    if (needKey.includes(type) && (key ?? "").trim() === "") throw invalid(`A column of type ${type} needs a key!`);
  }
}
