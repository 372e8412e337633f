/** A page with its title, one line about it, and parts separated by empty lines. */
export function page(title: string, about: string, parts: readonly string[]): string {
  const note = "<!-- Made by `npm run docs`; edit the definitions instead. -->";
  return `${[`# ${title}`, note, about, ...parts.filter((part) => part !== "")].join("\n\n")}\n`;
}

/** A Markdown table; empty text for no rows. Columns that are empty in every row are left out. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const used = heads.map((_, column) => rows.some((row) => row[column] !== ""));
  const line = (cells: readonly string[]) => `| ${cells.filter((_, column) => used[column]).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map((row) => line(row.map(cell)))].join("\n");
}

export const code = (text: string): string => `\`${text}\``;
export const codes = (texts: readonly string[]): string => texts.map(code).join(", ");

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
