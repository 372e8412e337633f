import { invalid, type Principal } from "@heddle/plugin-sdk";
import { everyone, listOf, type Operation, operation } from "../operation.ts";
import { AnyObject } from "../schemas.ts";
import type { Services } from "../services.ts";

const types = ["GENERAL", "QUICK_LINKS", "DOC_LINKS", "DASHBOARDS", "GETTING_STARTED", "NOTIFICATIONS"];
/** Kept by the platform, not by clients. */
const reserved = ["VISITED_DASHBOARDS", "MOBILE"];
const general = "GENERAL";
const root = "/api/user/settings";

/** What clients keep for the signed-in user (rest-semantics 17.4). */
export function userSettingsOperations({ settings }: Services): Operation[] {
  const of = ({ userId }: Principal, type: string) => ({ userId, type });
  const read = (path: string) =>
    operation({
      method: "GET",
      path,
      who: everyone,
      run: async ({ principal, param, call }) => ({
        json: await settings.get(of(principal, typeOf(param("type"))), call),
      }),
    });
  const merge = (path: string) =>
    operation({
      method: "PUT",
      path,
      who: everyone,
      body: AnyObject,
      run: async ({ principal, param, body, call }) => {
        await settings.merge(of(principal, typeOf(param("type"))), body, call);
        return undefined;
      },
    });
  return [
    read(root),
    read(`${root}/:type`),
    merge(root),
    merge(`${root}/:type`),
    operation({
      method: "POST",
      path: root,
      who: everyone,
      body: AnyObject,
      run: async ({ principal, body, call }) => {
        await settings.replace(of(principal, general), body, call);
        return { json: await settings.get(of(principal, general), call) };
      },
    }),
    operation({
      method: "DELETE",
      path: `${root}/:type`,
      who: everyone,
      run: async ({ principal, param, call }) => {
        await settings.remove(of(principal, general), listOf(param("type")), call);
        return undefined;
      },
    }),
    operation({
      method: "DELETE",
      path: `${root}/:type/:paths`,
      who: everyone,
      run: async ({ principal, param, call }) => {
        await settings.remove(of(principal, typeOf(param("type"))), listOf(param("paths")), call);
        return undefined;
      },
    }),
  ];
}

/** Without a name the general ones. */
function typeOf(text: string): string {
  if (text === "") return general;
  const type = text.toUpperCase();
  if (reserved.includes(type)) throw invalid(`Settings with type: ${type} are reserved for internal use!`);
  if (!types.includes(type)) throw invalid(`Settings type "${text.slice(0, 60)}" is not supported!`);
  return type;
}
