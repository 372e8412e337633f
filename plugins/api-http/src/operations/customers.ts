import {
  type CallOptions,
  type CustomerDocument,
  customerView,
  type Draft,
  Fault,
  type Principal,
  Type,
} from "@heddle/plugin-sdk";
import { customerFor } from "../access.ts";
import { listOf, type Operation, operation, tenantAndCustomer, tenantOnly, uuidOf } from "../operation.ts";
import { MaybePageFields, pageOf, viewPage } from "../paging.ts";
import { Common, ConflictQuery, Contact, conflictOf, draftId, idOf, MaybeRef, MaybeText, present } from "../schemas.ts";
import type { Services } from "../services.ts";

const Customer = Type.Object({ ...Common, ...Contact, title: MaybeText, externalId: MaybeRef });
const rules = {
  search: ["title"],
  sort: { createdTime: "createdTime", title: "title", name: "title", email: "email", country: "country", city: "city" },
};

/** Customers of a tenant (rest-semantics 3.4, 17.5). */
export function customerOperations(services: Services): Operation[] {
  const { directory, lifecycle } = services;
  const read = (path: string, view: (customer: Parameters<typeof customerView>[0]) => object) =>
    operation({
      method: "GET",
      path,
      who: tenantAndCustomer,
      run: async ({ principal, id, call }) =>
        view(await customerFor(services, { principal, id: id("customerId"), wanted: "read" }, call)),
    });
  const byIds = async (given: unknown, { authority, tenantId, customerId }: Principal, call: CallOptions) => {
    const found = await directory.customers.many(listOf(given as string).map(uuidOf), call);
    const mine = found.filter(({ value }) => value.tenantId === tenantId);
    const visible = authority === "TENANT_ADMIN" ? mine : mine.filter(({ value }) => value.id === customerId);
    return { json: visible.map(customerView) };
  };
  return [
    operation({
      method: "POST",
      path: "/api/customer",
      who: tenantOnly,
      body: Customer,
      query: ConflictQuery,
      run: async ({ principal, body, query, call }) => {
        const { id, externalId, ...rest } = body;
        const { tenantId } = principal;
        const draft = { ...present(rest), ...draftId(id), externalId: idOf(externalId) } as Draft<CustomerDocument>;
        if (draft.id !== undefined) await customerFor(services, { principal, id: draft.id, wanted: "own" }, call);
        const what = { tenantId, customer: draft, nameConflict: conflictOf(query), by: principal };
        return { json: customerView(await directory.saveCustomer(what, call)) };
      },
    }),
    read("/api/customer/:customerId", (customer) => ({ json: customerView(customer) })),
    read("/api/customer/:customerId/shortInfo", ({ value: { title, additionalInfo } }) => ({
      json: { title, isPublic: additionalInfo?.["isPublic"] === true },
    })),
    read("/api/customer/:customerId/title", ({ value }) => ({ text: value.title, type: "application/text" })),
    operation({
      method: "DELETE",
      path: "/api/customer/:customerId",
      who: tenantOnly,
      run: async ({ principal, id, call }) => {
        const customer = await customerFor(services, { principal, id: id("customerId"), wanted: "own" }, call);
        const entity = { entityType: "CUSTOMER", id: customer.value.id };
        await lifecycle.remove({ tenantId: principal.tenantId, entity, by: principal }, call);
        return undefined;
      },
    }),
    operation({
      method: "GET",
      path: "/api/customers",
      who: tenantOnly,
      query: Type.Object({ ...MaybePageFields, customerIds: Type.Optional(Type.Unknown()) }),
      run: async ({ principal, query, call }) => {
        const { tenantId } = principal;
        if (query.customerIds !== undefined) return byIds(query.customerIds, principal, call);
        const page = pageOf(query, rules);
        return {
          json: viewPage(await directory.customers.find({ ...page, where: { tenantId } }, call), page, customerView),
        };
      },
    }),
    operation({
      method: "GET",
      path: "/api/customers/list",
      who: tenantAndCustomer,
      query: Type.Object({ customerIds: Type.Unknown() }),
      run: ({ principal, query, call }) => byIds(query.customerIds, principal, call),
    }),
    operation({
      method: "GET",
      path: "/api/tenant/customers",
      who: tenantOnly,
      query: Type.Object({ customerTitle: Type.String() }),
      run: async ({ principal: { tenantId }, query: { customerTitle: title }, call }) => {
        const { items } = await directory.customers.find({ where: { tenantId, title }, limit: 1 }, call);
        const [customer] = items;
        if (customer === undefined)
          throw new Fault("missing", "record.missing", `Customer with title [${title}] is not found`);
        return { json: customerView(customer) };
      },
    }),
  ];
}
