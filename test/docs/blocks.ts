import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");

/** A fenced block of a page. */
export interface Block {
  /** The page, from the top of the repository. */
  readonly page: string;
  /** Line of the fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** What follows the language: the name of the file that the block is, or a mark. */
  readonly label: string;
  readonly text: string;
}

/** README and every page under docs. */
export function pages(): readonly string[] {
  const docs = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" });
  return ["README.md", ...docs.filter((file) => file.endsWith(".md")).map((file) => `docs/${file}`)].toSorted();
}

export const textOf = (page: string): string => readFileSync(join(root, page), "utf8");

export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { readonly line: number; readonly language: string; readonly label: string } | undefined;
  let body: string[] = [];
  for (const [index, line] of textOf(page).split("\n").entries()) {
    const fence = /^```(\S*)\s*(.*)$/.exec(line);
    if (fence === null) body.push(line);
    else if (open !== undefined) {
      blocks.push({ page, ...open, text: `${body.join("\n")}\n` });
      open = undefined;
    } else {
      open = { line: index + 1, language: fence[1] ?? "", label: (fence[2] ?? "").trim() };
      body = [];
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block has no end`);
  return blocks;
}

/** Targets of the relative links of a page, from the top of the repository, with the heading they name. */
export function linksOf(
  page: string,
): readonly { readonly file: string; readonly heading: string; readonly link: string }[] {
  const prose = textOf(page).replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = "", heading = ""] = link.split("#");
    const file = path === "" ? page : relative(root, resolve(root, dirname(page), path));
    return [{ file, heading, link }];
  });
}

/** The anchors of a page's headings, as hosting sites make them. */
export function anchorsOf(page: string): readonly string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
