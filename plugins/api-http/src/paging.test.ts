import { describe, expect, it } from "vitest";
import { pageOf, pageView } from "./paging.ts";

const rules = { search: ["name"], sort: { name: "name", createdTime: "createdTime" } };

describe("paging (rest-semantics 5)", () => {
  it("becomes the store's query, by creation when nothing is said", () => {
    expect(pageOf({ pageSize: 10, page: 2 }, rules)).toEqual({
      limit: 10,
      page: 2,
      sort: { by: "createdTime", order: "asc" },
    });
    const asked = { pageSize: 1, page: 0, textSearch: "x", sortProperty: "name", sortOrder: "DESC" };
    expect(pageOf(asked, rules)).toEqual({
      limit: 1,
      page: 0,
      sort: { by: "name", order: "desc" },
      search: { text: "x", fields: ["name"] },
    });
  });

  it.each([
    [{ pageSize: 0, page: 0 }, "Incorrect page link page size '0'. Page size must be greater than zero."],
    [{ pageSize: 1, page: -1 }, "Incorrect page link page '-1'. Page must be positive integer."],
    [{ pageSize: 1, page: 0, sortProperty: "name", sortOrder: "UP" }, "Unsupported sort order 'UP'!"],
    [{ pageSize: 1, page: 0, sortProperty: "a;b" }, "Invalid sort property"],
    [{ pageSize: 1, page: 0, sortProperty: "constructor" }, "Cannot sort by 'constructor'"],
    [{ page: 0 }, "Required request parameter 'pageSize' is not present"],
  ])("refuses %j", (paging, message) => {
    expect(() => pageOf(paging, rules)).toThrow(message);
  });

  it("counts pages", () => {
    expect(pageView({ items: [1], total: 5 }, { limit: 2, page: 1 })).toEqual({
      data: [1],
      totalPages: 3,
      totalElements: 5,
      hasNext: true,
    });
    expect(pageView({ items: [], total: 5 }, { limit: 2, page: 9 })).toMatchObject({ hasNext: false });
  });
});
