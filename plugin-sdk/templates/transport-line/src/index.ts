import { definePlugin, Log, Port, ReadyNotes, Sessions, Type, World } from "@heddle/plugin-sdk";
import { faults } from "./faults.ts";
import { LineTransport } from "./line-transport.ts";

export default definePlugin({
  name: "@acme/heddle-transport-line",
  sdk: "^1.0",
  summary: "Devices that speak lines of text over TCP.",
  stability: "experimental",
  config: Type.Object(
    {
      host: Type.String({ default: "127.0.0.1", description: "Address to listen on." }),
      port: Port({ default: 5555 }),
    },
    { additionalProperties: false },
  ),
  requires: { world: World, log: Log, sessions: Sessions, notes: ReadyNotes },
  faults,
  register({ container, deps }) {
    let made: LineTransport | undefined;
    const useFactory = () => {
      made ??= new LineTransport(deps);
      return made;
    };
    container.register(LineTransport, { useFactory });
  },
  async start({ container, config, deps }) {
    const port = await container.resolve(LineTransport).start(config);
    deps.notes.add({ title: "Lines", lines: [`${config.host}:${port}`] });
  },
  async stop({ container }) {
    await container.resolve(LineTransport)[Symbol.asyncDispose]();
  },
});
