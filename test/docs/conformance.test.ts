import { describe, expect, it } from "vitest";
import { pageOf, readRows, rowsOf } from "../../docs/generator/conformance.ts";
import { namesIn } from "../../docs/generator/test-names.ts";

describe("the page of conformance rows", () => {
  const rows = readRows("GW-01\tC\nGW-02\tO\nCOAP-20\tC\tcomes later\n");
  const proof = (name: string, file = "test/conformance/gateway.test.ts") => ({ name, file });

  it("counts, and links what proves a row", () => {
    const text = pageOf(rows, [proof("GW-01 a child"), proof("GW-01, GW-02: both", "plugins/mqtt/src/gw.test.ts")]);
    expect(text).toContain("| C | 2 | 1 |");
    expect(text).toContain("| all | 3 | 2 |");
    expect(text).toContain(
      "| GW-01 | C | a child | [conformance: gateway](../../test/conformance/gateway.test.ts), [mqtt: gw](../../plugins/mqtt/src/gw.test.ts) |",
    );
    expect(text).toContain("| GW-02 | O | both | [mqtt: gw]");
    expect(text).toContain("no test: comes later");
  });

  it("is not made when a row has lost its test, or a test names a row that is not there", () => {
    expect(() => pageOf(rows, [proof("GW-01 a child"), proof("GW-99 nobody"), proof("COAP-20 later")])).toThrow(
      [
        'test/conformance/gateway.test.ts: "GW-99 nobody" names GW-99, which is no row',
        "GW-02: no test proves it, and rows.tsv does not say why",
        "COAP-20: a test proves it, and rows.tsv says that none does",
      ].join("\n"),
    );
  });

  it("reads ids in all the forms that names have", () => {
    expect(rowsOf("MQTT-17, MQTT-RPC-01, RPC-03: a call")).toEqual(["MQTT-RPC-01", "MQTT-RPC-03"]);
    expect(rowsOf("MQTT-TEL-19 to TEL-22, TEL-24: filters")).toEqual(
      ["19", "20", "21", "22", "24"].map((number) => `MQTT-TEL-${number}`),
    );
    expect(rowsOf("R-OTA-01 SHA-512 of a package")).toEqual([]);
  });

  it("reads names as the sources write them, but not of what is left out", () => {
    const text = `
      row("GW-01", "a child", async () => {});
      rowOnBoth("GW-02", \`without \\\`type\\\`\`, async (level) => {});
      it.each([{ row: "2, CRED-04" }])("row $row", () => {});
      describe.skip("left out", () => it("GW-03 never", () => {}));
      it.skip("GW-04 some day", () => {});
      // it("GW-05 was", () => {});
      expect("GW-06 no name").toBe("GW-06 no name");`;
    expect(namesIn(text)).toEqual(["GW-01 a child", "GW-02 without `type`", "row $row", "2, CRED-04"]);
  });
});
