import { describePlugin } from "@heddle/plugin-sdk/testing";
import card from "./index.ts";

describePlugin(card);
