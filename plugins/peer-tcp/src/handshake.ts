import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import { Intake } from "./intake.ts";

/*
 * dialer   → hello      magic, version, nonce, length of name, name
 * listener → challenge  magic, version, nonce
 * dialer   → proof      HMAC-SHA256 of what was said so far
 * listener → verdict    one byte, HMAC-SHA256 of all of it
 *
 * Each side's nonce is in both MACs, so that nothing recorded can be used again. The dialer proves first: a stranger
 * who connects learns nothing that he could try secrets on. Without a secret the key is empty, which proves only that
 * both have none.
 */
const magic = Buffer.from("HDPL");
const version = 1;
const nonceBytes = 32;
const macBytes = 32;
const challengeBytes = magic.length + 1 + nonceBytes;
export const longestName = 255;

export const verdicts = { welcome: 0, wrongProof: 1, notMember: 2 } as const;

/** Why a handshake failed; `later` when the same peer may be let in soon. */
export class Refusal extends Error {
  readonly why: "magic" | "version" | "proof" | "member" | "name" | "closed";
  readonly later: boolean;

  constructor(why: Refusal["why"], message: string) {
    super(message);
    this.name = "Refusal";
    this.why = why;
    this.later = why === "member";
  }
}

/** Says who we are and proves it. Rejects with a `Refusal`; the caller bounds the time by destroying the socket. */
export function greet(socket: Socket, self: { readonly name: string; readonly key: string }): Promise<void> {
  return reading(socket, (intake) => dialled(socket, intake, self));
}

async function dialled(
  socket: Socket,
  intake: Intake,
  { name, key }: { readonly name: string; readonly key: string },
): Promise<void> {
  const bytes = Buffer.from(name);
  const hello = Buffer.concat([opening(), Buffer.of(bytes.length), bytes]);
  socket.write(hello);
  const challenge = await read(intake, challengeBytes);
  checkOpening(challenge);
  const proof = mac(key, "dialer", [hello, challenge]);
  socket.write(proof);
  const verdict = await read(intake, 1 + macBytes);
  const code = verdict[0];
  if (code === verdicts.wrongProof) throw new Refusal("proof", "the peer has another secret, or none");
  const expected = mac(key, "listener", [hello, challenge, proof, verdict.subarray(0, 1)]);
  if (!timingSafeEqual(expected, verdict.subarray(1))) {
    throw new Refusal("proof", "who answers does not know the secret");
  }
  if (code !== verdicts.welcome) throw new Refusal("member", "the peer does not know this node as a member yet");
}

/** Returns the name of a dialer that has proved itself and is admitted; rejects with a `Refusal`. */
export function receive(socket: Socket, rules: Rules): Promise<string> {
  return reading(socket, (intake) => accepted(socket, intake, rules));
}

interface Rules {
  readonly key: string;
  admit(name: string): boolean;
}

async function accepted(socket: Socket, intake: Intake, { key, admit }: Rules): Promise<string> {
  const head = await read(intake, challengeBytes);
  const challenge = opening();
  // An older or newer peer learns our version from it; a stranger gets nothing.
  if (magic.equals(head.subarray(0, magic.length))) socket.write(challenge);
  checkOpening(head);
  const length = await read(intake, 1);
  if (length[0] === 0) throw new Refusal("name", "it has no name");
  const name = await read(intake, length[0] as number);
  const hello = Buffer.concat([head, length, name]);
  const proof = await read(intake, macBytes);
  const answer = (code: number) => {
    const said = Buffer.of(code);
    socket.write(Buffer.concat([said, mac(key, "listener", [hello, challenge, proof, said])]));
  };
  if (!timingSafeEqual(mac(key, "dialer", [hello, challenge]), proof)) {
    socket.write(Buffer.concat([Buffer.of(verdicts.wrongProof), Buffer.alloc(macBytes)]));
    throw new Refusal("proof", `${printable(name)} has another secret, or none`);
  }
  const from = name.toString();
  if (!admit(from)) {
    answer(verdicts.notMember);
    throw new Refusal("member", `${printable(name)} is not a member of the cluster`);
  }
  answer(verdicts.welcome);
  return from;
}

async function reading<R>(socket: Socket, run: (intake: Intake) => Promise<R>): Promise<R> {
  const intake = new Intake(socket);
  try {
    return await run(intake);
  } finally {
    intake.release();
  }
}

function opening(): Buffer {
  return Buffer.concat([magic, Buffer.of(version), randomBytes(nonceBytes)]);
}

function checkOpening(bytes: Buffer): void {
  if (!magic.equals(bytes.subarray(0, magic.length))) throw new Refusal("magic", "it does not speak this protocol");
  const theirs = bytes[magic.length];
  if (theirs !== version)
    throw new Refusal("version", `it speaks version ${theirs} of the protocol, this node ${version}`);
}

function mac(key: string, role: "dialer" | "listener", said: readonly Buffer[]): Buffer {
  const hmac = createHmac("sha256", key).update(role);
  for (const bytes of said) hmac.update(bytes);
  return hmac.digest();
}

/** A name that a stranger chose, fit for a log line. */
const printable = (name: Buffer) => JSON.stringify(name.toString());

async function read(intake: Intake, count: number): Promise<Buffer> {
  const bytes = await intake.read(count);
  if (bytes === undefined) {
    throw new Refusal("closed", "the connection was closed before the handshake was done");
  }
  return bytes;
}
