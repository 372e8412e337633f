import { invalid } from "@heddle/plugin-sdk";

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Alarm rules of a profile with every member that clients read; null where there are none (rest-semantics 15.5). */
export function alarmRules(given: unknown): unknown[] | null {
  if (given === undefined || given === null) return null;
  if (!Array.isArray(given) || !given.every(isObject))
    throw invalid("Device profile alarm rules are a list of objects!");
  const types = new Set<unknown>();
  for (const { alarmType } of given) {
    if (types.has(alarmType)) {
      throw invalid(`Can't create device profile with the same alarm rule types: "${String(alarmType)}"!`);
    }
    types.add(alarmType);
  }
  return given.map((alarm) => ({
    clearRule: null,
    propagate: false,
    propagateToOwner: false,
    propagateToTenant: false,
    propagateRelationTypes: null,
    ...(alarm as Members),
    ...(isObject(alarm["createRules"]) ? { createRules: mapped(alarm["createRules"], rule) } : {}),
    ...(isObject(alarm["clearRule"]) ? { clearRule: rule(alarm["clearRule"]) } : {}),
  }));
}

const mapped = (members: Members, to: (value: unknown) => unknown): Members =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [name, to(value)]));

function rule(given: unknown): unknown {
  if (!isObject(given)) return given;
  return {
    schedule: null,
    alarmDetails: null,
    dashboardId: null,
    ...given,
    ...(isObject(given["condition"]) ? { condition: condition(given["condition"]) } : {}),
  };
}

function condition(given: Members): Members {
  const filters = given["condition"];
  return Array.isArray(filters) ? { ...given, condition: filters.map(filter) } : given;
}

function filter(given: unknown): unknown {
  return isObject(given) ? { value: null, ...given, predicate: predicate(given["predicate"]) } : given;
}

function predicate(given: unknown): unknown {
  if (!isObject(given)) return given;
  const { value, predicates } = given;
  if (Array.isArray(predicates)) return { ...given, predicates: predicates.map(predicate) };
  return isObject(value) ? { ...given, value: { userValue: null, dynamicValue: null, ...value } } : given;
}
