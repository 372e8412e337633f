import type { Dice } from "./dice.ts";

const names = ["temperature", "ts", "values", "a b.c/d", "__proto__", "constructor", "toString", "1", "", "é€😀"];
const numbers = ["0", "-0", "25", "25.0", "1e3", "1.5e3", "-0.5", "1e-20", "1e400", "0.30000000000000004"];
const bigNumbers = ["9223372036854775807", "9223372036854775808", "-9223372036854775809", "12345678901234567890.5"];
const texts = [
  "",
  "eco",
  "25",
  "0012",
  ".5",
  "5.",
  "1e5",
  "true",
  "NaN",
  "q\"u\\o'te",
  "\u0000\u001f\u2028\ud800",
  "a/*b*/",
];
/** What only the permissive reader takes (device-api 0.2). */
const bare = [
  "eco",
  "TRUE",
  "False",
  "NULL",
  "NaN",
  "-Infinity",
  "01",
  ".5",
  "1.",
  "+5",
  "0x10",
  "01e400",
  "1.e5",
  "-",
];

/** JSON text; with `lenient`, what shells and firmware make of it. */
export function jsonText(dice: Dice, lenient: boolean, depth = 0): string {
  const gap = lenient ? dice.pick(["", " ", "\n", "\t", "/* c */", "// c\n", "# c\n"]) : dice.pick(["", " ", "\r\n"]);
  return gap + value(dice, lenient, depth) + gap;
}

/** As devices send it: an object of values, `{ts, values}`, or a list of both. */
export function telemetryText(dice: Dice, lenient: boolean): string {
  if (dice.chance(0.2)) return jsonText(dice, lenient);
  if (dice.chance(0.2)) return `[${dice.some(4, () => telemetryText(dice, lenient)).join(",")}]`;
  if (dice.chance(0.6)) return object(dice, lenient, 1);
  const ts = dice.chance(0.7) ? String(1_700_000_000_000 + dice.below(1e9)) : value(dice, lenient, 2);
  return `{"ts":${ts},"values":${dice.chance(0.9) ? object(dice, lenient, 1) : value(dice, lenient, 1)}}`;
}

function value(dice: Dice, lenient: boolean, depth: number): string {
  const kind = dice.below(depth > 4 ? 4 : 6);
  if (kind === 0) return dice.pick(["true", "false", "null"]);
  if (kind === 1) return number(dice);
  if (kind < 4) return lenient && dice.chance(0.3) ? dice.pick(bare) : quoted(dice, dice.pick(texts), lenient);
  return kind === 4 ? object(dice, lenient, depth) : array(dice, lenient, depth);
}

function number(dice: Dice): string {
  if (dice.chance(0.4)) return dice.pick(dice.chance(0.5) ? numbers : bigNumbers);
  const digits = (most: number) => Array.from({ length: 1 + dice.length(most) }, () => dice.below(10)).join("");
  const integer = digits(20).replace(/^0+(?=\d)/, "");
  const fraction = dice.chance(0.5) ? `.${digits(20)}` : "";
  const exponent = dice.chance(0.3) ? `${dice.pick(["e", "E"])}${dice.pick(["", "+", "-"])}${dice.below(25)}` : "";
  return `${dice.pick(["", "-"])}${integer}${fraction}${exponent}`;
}

function quoted(dice: Dice, text: string, lenient: boolean): string {
  if (!lenient || dice.chance(0.5)) return JSON.stringify(text);
  return dice.chance(0.5) ? `'${text.replace(/[\\']/g, "\\$&")}'` : `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

function object(dice: Dice, lenient: boolean, depth: number): string {
  const members = dice.some(5, () => {
    const name = dice.pick(names);
    const spelled = lenient && dice.chance(0.3) && name !== "" ? name.replace(/\W/g, "_") : quoted(dice, name, lenient);
    return `${spelled}${lenient ? dice.pick([":", "=", "=>"]) : ":"}${jsonText(dice, lenient, depth + 1)}`;
  });
  return `{${members.join(lenient ? dice.pick([",", ";"]) : ",")}}`;
}

function array(dice: Dice, lenient: boolean, depth: number): string {
  const slot = () => (lenient && dice.chance(0.2) ? "" : jsonText(dice, lenient, depth + 1));
  return `[${dice.some(5, slot).join(lenient ? dice.pick([",", ";"]) : ",")}]`;
}
