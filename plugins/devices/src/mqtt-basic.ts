import { credentialsHash, type DeviceProof } from "@heddle/plugin-sdk";

type Presented = Extract<DeviceProof, { kind: "basic" }>;

/** Ids under which basic credentials may be stored, in the order of device-api 1.3. */
export function basicCandidates({ clientId, userName }: Presented): { readonly id: string; readonly last: boolean }[] {
  if (userName === "") return [{ id: credentialsHash(clientId), last: true }];
  return [
    { id: credentialsHash(clientId === "" ? userName : `${clientId}|${userName}`), last: false },
    { id: userName, last: true },
  ];
}

/** How what was presented compares with what is stored: each stored field must be equal, empty ones accept anything. */
export function basicFits(stored: string | null, by: Presented): "fits" | "password" | "other" {
  const want = JSON.parse(stored ?? "{}") as { clientId?: string; userName?: string; password?: string };
  if (want.clientId && want.clientId !== by.clientId) return "other";
  if (want.userName && want.userName !== by.userName) return "other";
  if (want.password && want.password !== by.password) return "password";
  return "fits";
}
