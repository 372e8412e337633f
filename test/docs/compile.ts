import { dirname, join } from "node:path";
import ts from "typescript";
import { type Block, root } from "./blocks.ts";

/** Type-checks blocks as modules that lie beside their page, all in one program; answers what is wrong with them. */
export function compileProblems(blocks: readonly Block[]): readonly string[] {
  const sources = new Map(blocks.map((block, index) => [fileOf(block, index), block] as const));
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: ["-"] }, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => sources.has(file) || fileExists(file);
  host.readFile = (file) => sources.get(file)?.text ?? readFile(file);
  host.getSourceFile = (file, language, ...rest) => {
    const block = sources.get(file);
    // A block without imports is a module all the same.
    return block === undefined
      ? getSourceFile(file, language, ...rest)
      : ts.createSourceFile(file, `${block.text}export {};\n`, language);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  return [...sources].flatMap(([file, block]) => {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ start = 0, messageText }) => {
      const line = block.line + 1 + (source?.getLineAndCharacterOfPosition(start).line ?? 0);
      return `${block.page}:${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
  });
}

function fileOf({ page, label }: Block, index: number): string {
  return join(root, dirname(page), label === "" ? `block-${index}.ts` : label);
}
