/** Just enough of the REST API for black-box tests. */
export class RestClient {
  readonly #base: string;
  readonly token: string;

  private constructor(base: string, token: string) {
    this.#base = base;
    this.token = token;
  }

  static async signIn(base: string, username = "tenant@thingsboard.org", password = "tenant"): Promise<RestClient> {
    const answer = await fetch(`${base}/api/auth/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username, password }),
    });
    if (!answer.ok) throw new Error(`sign-in: ${answer.status} ${await answer.text()}`);
    return new RestClient(base, ((await answer.json()) as { token: string }).token);
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
    const answer = await fetch(this.#base + path, {
      method,
      headers: {
        "x-authorization": `Bearer ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? undefined : parsed(text) };
  }

  get(path: string): Promise<any> {
    return this.#expect("GET", path);
  }

  post(path: string, body?: unknown): Promise<any> {
    return this.#expect("POST", path, body);
  }

  delete(path: string): Promise<any> {
    return this.#expect("DELETE", path);
  }

  async #expect(method: string, path: string, content?: unknown): Promise<any> {
    const { status, body } = await this.call(method, path, content);
    if (status !== 200) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  async deviceId(name: string): Promise<string> {
    return (await this.get(`/api/tenant/device?deviceName=${encodeURIComponent(name)}`)).id.id;
  }
}

/** Some answers are plain text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
