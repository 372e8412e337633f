import { invalid } from "@heddle/plugin-sdk";

/** Rows of a text as RFC 4180 has them: quotes protect delimiters, line ends and, doubled, themselves. */
export function* csvRows(text: string, delimiter: string): Generator<{ readonly line: number; cells: string[] }> {
  let cells: string[] = [];
  let line = 1;
  let begin = 1;
  for (let at = 0; at < text.length; ) {
    const cell = text.charAt(at) === '"' ? quoted(text, at, begin) : plain(text, at, delimiter);
    cells.push(cell.value);
    line += cell.value.split("\n").length - 1;
    at = cell.end;
    if (text.startsWith(delimiter, at)) {
      at += delimiter.length;
      if (at < text.length) continue;
      cells.push("");
    }
    if (text.startsWith("\r\n", at)) at += 2;
    else if (at < text.length) {
      if (!/[\r\n]/.test(text.charAt(at))) throw invalid(`Line ${line}: a quoted cell ends in the middle of a cell`);
      at++;
    }
    yield { line: begin, cells };
    cells = [];
    line++;
    begin = line;
  }
}

function plain(text: string, from: number, delimiter: string): { readonly value: string; readonly end: number } {
  let end = from;
  while (end < text.length && !/[\r\n]/.test(text.charAt(end)) && !text.startsWith(delimiter, end)) end++;
  return { value: text.slice(from, end), end };
}

function quoted(text: string, from: number, line: number): { readonly value: string; readonly end: number } {
  let value = "";
  for (let at = from + 1; ; ) {
    const end = text.indexOf('"', at);
    if (end < 0) throw invalid(`Line ${line}: a quoted cell does not end`);
    value += text.slice(at, end);
    if (text.charAt(end + 1) !== '"') return { value, end: end + 1 };
    value += '"';
    at = end + 2;
  }
}
