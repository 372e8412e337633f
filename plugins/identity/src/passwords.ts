import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";
import { Fault, invalid } from "@heddle/plugin-sdk";

/** Cost of a hash: about 0.1 s and 32 MiB. */
const logN = 15;
const blockSize = 8;
const lanes = 1;
const saltBytes = 16;
const hashBytes = 32;
/** Passwords being hashed or waiting for it; each takes 32 MiB while it runs. */
const mostWaiting = 64;

/** rest-semantics 2.21. */
export const shortestPassword = 6;
export const longestPassword = 72;

let waiting = 0;

function derive(password: string, salt: Buffer, options: ScryptOptions & { bytes: number }): Promise<Buffer> {
  if (waiting >= mostWaiting) {
    throw new Fault("exhausted", "identity.busy", `${mostWaiting} passwords already wait to be checked`);
  }
  waiting++;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, options.bytes, { ...options, maxmem: 256 * 2 ** 20 }, (error, key) => {
      waiting--;
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** `scrypt$<log N>$<r>$<p>$<salt>$<hash>`: the name and cost travel with the hash, so that they can change. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const key = await derive(password, salt, { N: 2 ** logN, r: blockSize, p: lanes, bytes: hashBytes });
  return `scrypt$${logN}$${blockSize}$${lanes}$${salt.toString("base64")}$${key.toString("base64")}`;
}

/** With no stored hash it takes as long and is false: an answer's time must not tell whether a user exists. */
export async function verifyPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [algorithm, cost, r, p, salt = "", hash = ""] = (stored ?? "").split("$");
  if (algorithm !== "scrypt") {
    await derive(password, Buffer.alloc(saltBytes), { N: 2 ** logN, r: blockSize, p: lanes, bytes: hashBytes });
    return false;
  }
  const expected = Buffer.from(hash, "base64");
  const options = { N: 2 ** Number(cost), r: Number(r), p: Number(p), bytes: expected.length };
  return timingSafeEqual(expected, await derive(password, Buffer.from(salt, "base64"), options));
}

/** The texts of rest-semantics 2.20–2.21. */
export function checkPassword(password: string | undefined): asserts password is string {
  if (password === undefined) throw invalid("rawPassword cannot be null");
  if (password.length < shortestPassword) {
    throw invalid(`Password must be ${shortestPassword} or more characters in length.`);
  }
  if (password.length > longestPassword) {
    throw invalid(`Password must be no more than ${longestPassword} characters in length.`);
  }
}

/** A password for the first start: 20 letters and digits that cannot be taken for each other. */
export function drawPassword(): string {
  const alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  return drawText(20, alphabet);
}

/** Secret text of characters of the alphabet, each equally likely. */
export function drawText(
  length: number,
  alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
): string {
  const fair = 256 - (256 % alphabet.length);
  let text = "";
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < fair && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}
