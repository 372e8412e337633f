import type {
  Accounts,
  CallOptions,
  DeviceRegistry,
  Directory,
  EntityStore,
  Lifecycle,
  Log,
  ReadyNotes,
  Telemetry,
  Value,
} from "@heddle/plugin-sdk";

export interface SampleDeps {
  readonly log: Log;
  readonly notes: ReadyNotes;
  readonly entities: EntityStore;
  readonly accounts: Accounts;
  readonly directory: Directory;
  readonly registry: DeviceRegistry;
  readonly lifecycle: Lifecycle;
  readonly telemetry: Telemetry;
}

interface SampleDevice {
  readonly name: string;
  readonly token: string;
  readonly type?: string;
  readonly customer?: string;
  readonly attributes?: Readonly<Record<string, Value>>;
}

/** Written last: until then every step looks for what an interrupted start has made already. */
const mark = { name: "sample-data", id: "id", indexes: [] } as const;
const markId = "loaded";

const tenantTitle = "Tenant";
const tenantUser = { email: "tenant@thingsboard.org", password: "tenant" };
const customerPassword = "customer";
/** Customer A has two users. */
const customerUsers = [
  { email: "customer@thingsboard.org", customer: "Customer A" },
  { email: "customerA@thingsboard.org", customer: "Customer A" },
  { email: "customerB@thingsboard.org", customer: "Customer B" },
  { email: "customerC@thingsboard.org", customer: "Customer C" },
];
const customers = ["Customer A", "Customer B", "Customer C"];

const thermostat = (name: string, token: string, at: Readonly<Record<string, Value>>): SampleDevice => ({
  name,
  token,
  type: "thermostat",
  attributes: { ...at, temperatureAlarmFlag: true, humidityAlarmFlag: true },
});

/** rest-semantics 7.10. */
const devices: readonly SampleDevice[] = [
  { name: "Test Device A1", token: "A1_TEST_TOKEN", customer: "Customer A" },
  { name: "Test Device A2", token: "A2_TEST_TOKEN", customer: "Customer A" },
  { name: "Test Device A3", token: "A3_TEST_TOKEN", customer: "Customer A" },
  { name: "Test Device B1", token: "B1_TEST_TOKEN", customer: "Customer B" },
  { name: "Test Device C1", token: "C1_TEST_TOKEN", customer: "Customer C" },
  { name: "DHT11 Demo Device", token: "DHT11_DEMO_TOKEN" },
  { name: "Raspberry Pi Demo Device", token: "RASPBERRY_PI_DEMO_TOKEN" },
  thermostat("Thermostat T1", "T1_TEST_TOKEN", {
    latitude: 37.3948,
    longitude: -122.1503,
    temperatureAlarmThreshold: 20,
    humidityAlarmThreshold: 50,
  }),
  thermostat("Thermostat T2", "T2_TEST_TOKEN", {
    latitude: 37.493801,
    longitude: -121.948769,
    temperatureAlarmThreshold: 25,
    humidityAlarmThreshold: 30,
  }),
];

/** Brings the sample tenant once and says at every start how to try it. */
export async function bringSampleData(deps: SampleDeps, call: CallOptions): Promise<void> {
  const marks = deps.entities.collection<{ readonly id: string }>(mark);
  const [loaded] = await marks.get([markId], call);
  if (loaded === undefined) {
    await load(deps, call);
    await marks.put([{ value: { id: markId }, expect: "any" }], call);
    deps.log.info("sample data loaded", { devices: devices.length });
  }
  deps.notes.add({
    title: "Sample data",
    sampleToken: "A1_TEST_TOKEN",
    lines: [
      "Everybody knows these passwords: never let others reach this node.",
      `sysadmin@thingsboard.org / sysadmin   ${tenantUser.email} / ${tenantUser.password}`,
      `${customerUsers[0]?.email} / ${customerPassword}   (also customerA, customerB, customerC)`,
      "Device tokens: A1_TEST_TOKEN, T1_TEST_TOKEN, DHT11_DEMO_TOKEN, …",
    ],
  });
}

async function load(deps: SampleDeps, call: CallOptions): Promise<void> {
  const { directory, lifecycle } = deps;
  const { items } = await directory.tenants.find({ where: { title: tenantTitle }, limit: 1 }, call);
  const tenant = items[0] ?? (await lifecycle.createTenant({ title: tenantTitle }, call));
  const tenantId = tenant.value.id;
  const ids = new Map<string, string>();
  for (const title of customers) ids.set(title, await customer(deps, { tenantId, title }, call));
  const admin = { tenantId, customerId: null, authority: "TENANT_ADMIN" as const };
  await Promise.all([
    user(deps, { ...tenantUser, ...admin }, call),
    ...customerUsers.map(({ email, customer: title }) => {
      const customerId = ids.get(title) as string;
      const draft = { email, tenantId, customerId, authority: "CUSTOMER_USER" as const };
      return user(deps, { ...draft, password: customerPassword }, call);
    }),
    ...devices.map((sample) => {
      const customerId = sample.customer === undefined ? null : (ids.get(sample.customer) as string);
      return device(deps, { sample, tenantId, customerId }, call);
    }),
  ]);
}

async function customer(
  { directory }: SampleDeps,
  { tenantId, title }: { readonly tenantId: string; readonly title: string },
  call: CallOptions,
): Promise<string> {
  const { items } = await directory.customers.find({ where: { tenantId, title }, limit: 1 }, call);
  return (items[0] ?? (await directory.saveCustomer({ tenantId, customer: { title } }, call))).value.id;
}

async function user(
  { directory, accounts }: SampleDeps,
  { password, ...draft }: Parameters<Directory["saveUser"]>[0] & { readonly email: string; readonly password: string },
  call: CallOptions,
): Promise<void> {
  const { items } = await directory.users.find({ where: { email: draft.email }, limit: 1 }, call);
  const { id } = (items[0] ?? (await directory.saveUser(draft, call))).value;
  if (!(await accounts.state(id, call)).activated) await accounts.setPassword(id, password, call);
}

async function device(
  { registry, telemetry }: SampleDeps,
  what: { readonly sample: SampleDevice; readonly tenantId: string; readonly customerId: string | null },
  call: CallOptions,
): Promise<void> {
  const { sample, tenantId, customerId } = what;
  const { name, token, type, attributes } = sample;
  const { items } = await registry.devices.find({ where: { tenantId, name }, limit: 1 }, call);
  const credentials = { credentialsType: "ACCESS_TOKEN" as const, credentialsId: token };
  const draft = { name, customerId, ...(type === undefined ? {} : { type }) };
  const { id } = (items[0] ?? (await registry.save({ tenantId, device: draft, credentials }, call))).value;
  if (attributes === undefined) return;
  const write = { tenantId, entity: { entityType: "DEVICE", id }, scope: "SERVER_SCOPE" as const, notifyDevice: false };
  await telemetry.saveAttributes({ ...write, values: attributes }, call);
}
