import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** A test as its source names it. */
export interface NamedTest {
  readonly name: string;
  /** From the top of the repository. */
  readonly file: string;
}

const declares = new Set(["it", "test", "describe", "row", "rowOnBoth"]);

/** Names of all tests below `root` that are not left out, by file; only of files whose text `mayHold` accepts. */
export function testNames(root: string, mayHold: (text: string) => boolean): readonly NamedTest[] {
  const files = ["test", "plugins", "plugin-sdk", "core"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".test.ts") && !/(^|\/)(node_modules|dist)\//.test(file))
      .map((file) => `${folder}/${file}`),
  );
  return files.toSorted().flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    return mayHold(text) ? namesIn(text).map((name) => ({ name, file })) : [];
  });
}

/**
 * Names in the text of a test file: first arguments of `it`, `describe` and the like, `row("ID", "what")` as "ID what", and the
 * property `row` of tables that `each` puts into a name. What stands within `skip` or `todo` proves nothing and is left out.
 */
export function namesIn(text: string): readonly string[] {
  const names: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const called = calledBy(node.expression);
      if (declares.has(called[0] ?? "")) {
        if (called.includes("skip") || called.includes("todo")) return;
        const name = nameOf(node.arguments, (called[0] as string).startsWith("row"));
        if (name !== "") names.push(name);
      }
    }
    if (ts.isPropertyAssignment(node) && node.name.getText(source) === "row" && ts.isStringLiteral(node.initializer))
      names.push(node.initializer.text);
    ts.forEachChild(node, visit);
  };
  const source = ts.createSourceFile("names.test.ts", text, ts.ScriptTarget.Latest);
  visit(source);
  return names;
}

/** `it.each(table)` is called by `it`, `each`. */
function calledBy(expression: ts.Expression): readonly string[] {
  if (ts.isIdentifier(expression)) return [expression.text];
  if (ts.isPropertyAccessExpression(expression)) return [...calledBy(expression.expression), expression.name.text];
  if (ts.isCallExpression(expression)) return calledBy(expression.expression);
  return [];
}

function nameOf([first, second]: readonly ts.Expression[], withWhat: boolean): string {
  const parts = withWhat ? [first, second] : [first];
  return parts.flatMap((part) => (part !== undefined && ts.isStringLiteralLike(part) ? [part.text] : [])).join(" ");
}
