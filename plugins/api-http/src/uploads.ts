import { Fault } from "@heddle/plugin-sdk";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { UploadedFile } from "./operation.ts";

/** Beside the one file; who takes it says how large it may be. */
const limits = {
  files: 1,
  fields: 16,
  fieldNameSize: 100,
  fieldSize: 4_096,
  headerPairs: 50,
  fileSize: Number.POSITIVE_INFINITY,
} as const;

/** Routes whose bodies are forms: they are read as they arrive, and only when the operation asks. */
export async function withForms(app: FastifyInstance, route: (scope: FastifyInstance) => void): Promise<void> {
  const { default: multipart } = await import("@fastify/multipart");
  await app.register(async (scope) => {
    await scope.register(multipart, { limits, throwFileSizeLimit: false });
    route(scope);
  });
}

/** The file of a form, and how to let go of what nobody has read of it. */
export class Upload {
  readonly #request: FastifyRequest;
  #drop: () => void = () => {};

  constructor(request: FastifyRequest) {
    this.#request = request;
  }

  async open(): Promise<UploadedFile> {
    let part: Awaited<ReturnType<FastifyRequest["file"]>>;
    try {
      part = await this.#request.file();
    } catch (cause) {
      throw unreadable(cause);
    }
    if (part === undefined) throw new Fault("invalid", "api.upload", "Required part 'file' is not present.");
    const { file, filename, mimetype } = part;
    this.#drop = () => file.resume();
    return { fileName: filename, contentType: mimetype, data: bytesOf(file) };
  }

  /** A client that still sends reads its answer only when somebody takes what it sends. */
  close(): void {
    this.#drop();
  }
}

async function* bytesOf(
  file: NonNullable<Awaited<ReturnType<FastifyRequest["file"]>>>["file"],
): AsyncGenerator<Uint8Array> {
  try {
    yield* file.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw unreadable(cause);
  }
}

const unreadable = (cause: unknown) =>
  new Fault("invalid", "api.upload", "The form with the file ends early or cannot be read", { cause });
