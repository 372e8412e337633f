import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { credentialsHash } from "@heddle/plugin-sdk";

/** Certificates that a peer may present in one chain. */
const longestChain = 10;

/** The certificate that a client presented; undefined without TLS or without one. */
export function peerCertificate(socket: Socket): X509Certificate | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
}

/** H of device-api 1.1: over the base64 of the DER, not over the DER. */
export function certificateHash(certificate: X509Certificate): string {
  return credentialsHash(certificate.raw.toString("base64"));
}

export function isValidAt(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
}

/** What the client presented, DER, leaf first. */
export function chainOf(leaf: X509Certificate): Uint8Array[] {
  const chain = [leaf.raw];
  let issuer = leaf.issuerCertificate;
  for (; issuer !== undefined && chain.length < longestChain; issuer = issuer.issuerCertificate) {
    const { raw } = issuer;
    if (chain.some((known) => known.equals(raw))) break;
    chain.push(raw);
  }
  return chain;
}

/** Each certificate must be signed by the next one presented (device-api 1.4). */
export function chainVerifies(leaf: X509Certificate): boolean {
  let certificate = leaf;
  for (let links = 0; links < longestChain; links++) {
    const issuer = certificate.issuerCertificate;
    if (issuer === undefined || issuer.fingerprint256 === certificate.fingerprint256) return true;
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
    certificate = issuer;
  }
  return false;
}
