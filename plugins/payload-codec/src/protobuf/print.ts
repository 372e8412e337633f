import type protobuf from "protobufjs";
import { malformed } from "../document.ts";
import { doubleText, floatText, integerText, type Message } from "./wire.ts";

/** Characters that a payload may become: two bytes are a sub-message, and its defaults may be thousands of characters. */
const longestText = 4 * 1024 * 1024;

/**
 * A message of a profile's schema as JSON text. Plain fields appear with their default when they were not sent; `optional`
 * ones and sub-messages only when they were (device-api 2.13). Fault `device.payload`.
 */
export function printMessage(type: protobuf.Type, message: Message): string {
  return new Printer().message(type, message);
}

class Printer {
  #left = longestText;

  message(type: protobuf.Type, message: Message): string {
    const members: string[] = [];
    for (const field of type.fieldsArray) {
      const { name } = field.resolve();
      if (field.repeated) members.push(`${this.#quoted(name)}:[${this.#all(field, message[name] ?? [])}]`);
      else if (field.map) members.push(`${this.#quoted(name)}:${this.#map(field, message[name] ?? {})}`);
      else if (Object.hasOwn(message, name)) members.push(`${this.#quoted(name)}:${this.#value(field, message[name])}`);
      else if (!hasPresence(field)) members.push(`${this.#quoted(name)}:${this.#value(field, field.typeDefault)}`);
    }
    return `{${members.join(",")}}`;
  }

  #all(field: protobuf.Field, values: readonly unknown[]): string {
    return values.map((value) => this.#value(field, value)).join(",");
  }

  #map(field: protobuf.Field, values: Readonly<Record<string, unknown>>): string {
    const members = Object.entries(values).map(([key, value]) => `${this.#quoted(key)}:${this.#value(field, value)}`);
    return `{${members.join(",")}}`;
  }

  #value(field: protobuf.Field, value: unknown): string {
    const { resolvedType, type } = field;
    if (resolvedType !== null) {
      if ("fieldsArray" in resolvedType) return this.message(resolvedType, value as Message);
      const name = resolvedType.valuesById[value as number];
      return name === undefined ? this.#counted(String(value)) : this.#quoted(name);
    }
    switch (type) {
      case "double":
        return this.#counted(doubleText(value as number));
      case "float":
        return this.#counted(floatText(value as number));
      case "string":
        return this.#quoted(value as string);
      case "bytes":
        return this.#quoted(Buffer.from(value as Uint8Array).toString("base64"));
      case "bool":
        return this.#counted(String(value));
      default:
        return this.#counted(integerText(value));
    }
  }

  #quoted(text: string): string {
    return this.#counted(JSON.stringify(text));
  }

  #counted(text: string): string {
    // Two more for what stands between.
    this.#left -= text.length + 2;
    if (this.#left < 0) throw malformed(`as JSON it has more than ${longestText} characters, the limit`);
    return text;
  }
}

/** Whether a field that was not sent can be told from one that was sent with its default. */
function hasPresence(field: protobuf.Field): boolean {
  return isMessage(field) || field.partOf !== null;
}

const isMessage = ({ resolvedType }: protobuf.Field) => resolvedType !== null && "fieldsArray" in resolvedType;
