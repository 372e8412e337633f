import { Fault } from "../fault.ts";

/** Longest text of a short field (rest-semantics 6.2). */
const longest = 255;
/** Tags, comments and template braces; a lone `<` between words is ordinary text (rest-semantics 6.3). */
const markup = /<[a-zA-Z/!?]|\{\{[\s\S]*\}\}/;
const email = /^[A-Za-z0-9._%+'-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}$/;

export function invalid(message: string): Fault {
  return new Fault("invalid", "input.invalid", message);
}

/** A mandatory text; `label` begins the message, such as `Device name` (rest-semantics 6.1). */
export function requireText(label: string, text: string | null | undefined): string {
  if (text === undefined || text === null || text.trim() === "") throw invalid(`${label} should be specified!`);
  if (text.includes("\0")) throw invalid(`${label} should not contain 0x00 symbol!`);
  return text;
}

/** Length and markup of short fields, by the name that messages use. */
export function checkTexts(fields: Readonly<Record<string, string | null | undefined>>): void {
  const broken: string[] = [];
  for (const [name, text] of Object.entries(fields)) {
    if (text === null || text === undefined) continue;
    if (text.length > longest) broken.push(`${name} length must be equal or less than ${longest}`);
    else if (markup.test(text)) broken.push(`${name} is malformed`);
  }
  if (broken.length > 0) throw invalid(`Validation error: ${broken.join(", ")}`);
}

export function checkEmail(text: string | null | undefined): void {
  if (text !== null && text !== undefined && text !== "" && !email.test(text)) {
    throw invalid(`Invalid email address format '${text}'!`);
  }
}
