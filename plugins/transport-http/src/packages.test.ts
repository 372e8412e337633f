import { Fault } from "@heddle/plugin-sdk";
import { FakeSessions } from "@heddle/plugin-sdk/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Running, running } from "../testing/stand-in.ts";
import { rangeOf } from "./package-download.ts";

class Limited extends FakeSessions {
  fault: Fault | undefined;
  blocked = "";

  override isBlocked(): boolean {
    return this.blocked !== "";
  }

  override visit(who: Parameters<FakeSessions["visit"]>[0]) {
    return Object.assign(super.visit(who), {
      spend: () => {
        if (this.fault !== undefined) throw this.fault;
      },
    });
  }
}

describe("device-api 9.8, claims, provisioning and packages", () => {
  let platform: Limited;
  let server: Running;
  beforeEach(async () => {
    platform = new Limited("T");
    server = await running(platform);
  });
  afterEach(() => server[Symbol.asyncDispose]());

  it("HTTP-21 a claim needs no body", async () => {
    expect(await server.post("/T/claim")).toMatchObject({ status: 200, body: "" });
    expect(await server.post("/T/claim", '{"secretKey":"k"}')).toMatchObject({ status: 200, body: "" });
    expect(server.onboarding.claims.map(({ text }) => text)).toEqual(["", '{"secretKey":"k"}']);
    expect(await server.post("/NOPE/claim")).toMatchObject({ status: 401, body: "" });
  });

  it("HTTP-22 provisioning answers 200 whatever became of it", async () => {
    const request = '{"provisionDeviceKey":"k","provisionDeviceSecret":"s"}';
    const answer = await server.post("/provision", request);
    expect(answer).toMatchObject({ status: 200, type: "text/plain;charset=UTF-8" });
    expect(JSON.parse(answer.body)).toMatchObject({ status: "SUCCESS", credentialsValue: "drawn" });
    server.onboarding.reply = { status: "NOT_FOUND", errorMsg: "Provision data was not found!" };
    const refused = await server.post("/provision", request);
    expect(refused.status).toBe(200);
    expect(JSON.parse(refused.body)).toMatchObject({ status: "NOT_FOUND" });
  });

  it("HTTP-23 a provisioning request without its key is 500, and 400 where accurate statuses are wanted", async () => {
    expect((await server.post("/provision", "{}")).status).toBe(500);
    await using accurate = await running(platform, { accurateStatus: true });
    expect((await accurate.post("/provision", "{}")).status).toBe(400);
    expect((await server.post("/provision")).status).toBe(400);
    expect((await server.get("/provision")).status).toBe(405);
  });

  it("HTTP-24 a package comes whole, with its name", async () => {
    server.packages.FIRMWARE = {};
    const answer = await server.get("/T/firmware?title=app&version=1.2");
    expect(answer).toMatchObject({ status: 200, body: "0123456789", type: "application/octet-stream" });
    expect(answer.headers).toMatchObject({
      "x-filename": "app.bin",
      "content-disposition": "attachment;filename=app.bin",
      "content-length": "10",
    });
  });

  it("HTTP-25, HTTP-26, HTTP-28: another version is 400, nothing assigned or elsewhere 404, no title 400", async () => {
    expect((await server.get("/T/firmware?title=app&version=1.2")).status).toBe(404);
    expect((await server.get("/T/software?title=app&version=1.2")).status).toBe(404);
    server.packages.FIRMWARE = { url: "http://x", hasData: false };
    expect((await server.get("/T/firmware?title=app&version=1.2")).status).toBe(404);
    server.packages.FIRMWARE = {};
    expect(await server.get("/T/firmware?title=app&version=1.3")).toMatchObject({ status: 400, body: "" });
    expect((await server.get("/T/firmware?version=1.2")).status).toBe(400);
    expect((await server.get("/T/firmware?title=app&version=1.2&size=abc")).status).toBe(400);
    expect((await server.get("/NOPE/firmware?title=app&version=1.2")).status).toBe(401);
  });

  it("HTTP-27 chunks: the last is short, the next one empty", async () => {
    server.packages.FIRMWARE = {};
    const bodies: string[] = [];
    for (let chunk = 0; chunk < 4; chunk++) {
      const answer = await server.get(`/T/firmware?title=app&version=1.2&size=4&chunk=${chunk}`);
      expect(answer.status).toBe(200);
      bodies.push(answer.body);
    }
    expect(bodies).toEqual(["0123", "4567", "89", ""]);
  });

  it("a range goes on where a download was cut", async () => {
    server.packages.FIRMWARE = {};
    const get = (range: string) => server.get("/T/firmware?title=app&version=1.2", { range });
    const part = await get("bytes=4-");
    expect(part).toMatchObject({ status: 206, body: "456789" });
    expect(part.headers["content-range"]).toBe("bytes 4-9/10");
    expect(await get("bytes=-3")).toMatchObject({ status: 206, body: "789" });
    expect(await get("bytes=2-3")).toMatchObject({ status: 206, body: "23" });
    expect(await get("bytes=10-")).toMatchObject({ status: 416, body: "" });
    expect(await get("bytes=1-2,5-6")).toMatchObject({ status: 200, body: "0123456789" });
    expect(await get("lines=1-2")).toMatchObject({ status: 200 });
    expect(rangeOf("bytes=5-4", 10)).toBeUndefined();
  });

  it("a large package is read piece by piece, not as a whole", async () => {
    const bytes = Buffer.alloc(3 * 1024 * 1024, "x");
    Object.assign(server.packages, { bytes, FIRMWARE: {} });
    const answer = await server.get("/T/firmware?title=app&version=1.2");
    expect(answer.body.length).toBe(bytes.length);
    expect(Math.max(...server.packages.reads.map(({ from, to }) => to - from))).toBeLessThanOrEqual(256 * 1024);
  });

  it("LIM-05 above a rate limit a post is 500, a GET 429 with the time to wait", async () => {
    platform.fault = new Fault("exhausted", "device.rate-limit", "too many", { retryAfterMs: 1_500 });
    server.packages.FIRMWARE = {};
    expect(await server.post("/T/claim")).toMatchObject({ status: 500, body: "" });
    const get = await server.get("/T/firmware?title=app&version=1.2");
    expect(get.status).toBe(429);
    expect(get.headers["retry-after"]).toBe("2");
    await using accurate = await running(platform, { accurateStatus: true });
    expect(await accurate.post("/T/claim")).toMatchObject({ status: 429 });
  });

  it("LIM-04 a blocked address is refused unheard", async () => {
    platform.blocked = "127.0.0.1";
    await expect(server.get("/T/attributes")).rejects.toThrow();
  });
});
