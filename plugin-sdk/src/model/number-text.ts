import { Double, type Value } from "./plain.ts";

/** Fraction digits beyond which a number is kept as text (device-api 0.3, rule 3). */
const mostFractionDigits = 16;
const castable = /^-?(?:\d+(?:\.\d+)?|\.\d+)$/;
const maxLong = 2n ** 63n - 1n;
const minLong = -(2n ** 63n);
/** Longest run of digits that an exponent is spelled out to. */
const longestExpansion = 512;

/** A reported text: a number when it looks like a plain decimal one, else itself (rest-semantics 8.2). */
export function castText(text: string): Value {
  return castable.test(text) ? numberValue(text) : text;
}

/** LONG, DOUBLE or, beyond what they hold, the digits as text (device-api 0.3, rule 3). */
export function numberValue(text: string): Value {
  const [mantissa = "", exponentText] = text.split(/[eE]/);
  const exponent = exponentText === undefined ? 0 : Number(exponentText);
  const dot = mantissa.indexOf(".");
  const scale = (dot < 0 ? 0 : mantissa.length - dot - 1) - exponent;
  if (Math.abs(exponent) > longestExpansion || scale > longestExpansion) return text;
  const plainWithDot = dot >= 0 && exponentText === undefined;
  if (!plainWithDot) {
    const integer = integerOf(mantissa.replace(".", ""), scale);
    if (integer !== undefined) return long(integer);
  }
  if (scale > mostFractionDigits) return expand(mantissa, scale);
  const number = Number(text);
  return Number.isInteger(number) ? new Double(number) : number;
}

/** `digits × 10^-scale` when that is an integer. */
function integerOf(digits: string, scale: number): bigint | undefined {
  const all = BigInt(digits === "" || digits === "-" ? `${digits}0` : digits);
  if (scale <= 0) return all * 10n ** BigInt(-scale);
  const unit = 10n ** BigInt(scale);
  return all % unit === 0n ? all / unit : undefined;
}

function long(integer: bigint): Value {
  if (integer > maxLong || integer < minLong) return integer.toString();
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}

/** The plain decimal digits, without an exponent. */
function expand(mantissa: string, scale: number): string {
  const negative = mantissa.startsWith("-");
  const digits = mantissa
    .replace(/[-.]/g, "")
    .replace(/^0+(?=\d)/, "")
    .padStart(scale + 1, "0");
  return `${negative ? "-" : ""}${digits.slice(0, digits.length - scale)}.${digits.slice(digits.length - scale)}`;
}
