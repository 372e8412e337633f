/** MurmurHash3 x86 32-bit of the UTF-8 bytes of a text, seed 0, unsigned (A. Appleby, public domain algorithm). */
export function murmur3(text: string): number {
  const length = text.length;
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) > 0x7f) return murmur3Bytes(Buffer.from(text));
  let hash = 0;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const block =
      text.charCodeAt(i) |
      (text.charCodeAt(i + 1) << 8) |
      (text.charCodeAt(i + 2) << 16) |
      (text.charCodeAt(i + 3) << 24);
    hash = mixBlock(hash, block);
  }
  let tail = 0;
  for (let i = length - 1; i >= whole; i--) tail = (tail << 8) | text.charCodeAt(i);
  return finish(length > whole ? hash ^ scramble(tail) : hash, length);
}

function murmur3Bytes(bytes: Uint8Array): number {
  const whole = bytes.length & ~3;
  let hash = 0;
  const at = (i: number) => bytes[i] as number;
  for (let i = 0; i < whole; i += 4) {
    hash = mixBlock(hash, at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24));
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= whole; i--) tail = (tail << 8) | at(i);
  return finish(bytes.length > whole ? hash ^ scramble(tail) : hash, bytes.length);
}

function scramble(block: number): number {
  const k = Math.imul(block, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(mixed: number, length: number): number {
  let hash = mixed ^ length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
