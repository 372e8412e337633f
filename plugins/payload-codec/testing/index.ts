export { fixed } from "../src/protobuf/messages.ts";
export { decode, encode } from "../src/protobuf/wire.ts";
