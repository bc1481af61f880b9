// The narrow door through which an exam reaches a model, and its implementation over the Worker's HTTP API.

export interface Ask {
  caption(png: Uint8Array): Promise<string>;
  /** One answer for each question, in their order. */
  answer(png: Uint8Array, questions: readonly string[]): Promise<readonly string[]>;
}

/** The same door to a retrieval model. */
export interface AskMatch {
  /** The probability that each text describes the picture, and their cosine, in the texts' order. */
  match(
    png: Uint8Array,
    texts: readonly string[],
  ): Promise<readonly { readonly itm: number; readonly itc: number }[]>;
}

export interface HttpAskOptions {
  readonly url: string;
  readonly key: string;
  readonly fetch?: typeof fetch;
  readonly timeoutMs?: number;
}

export function askOverHttp({
  url,
  key,
  fetch: send = fetch,
  timeoutMs = 60_000,
}: HttpAskOptions): Ask & AskMatch {
  const post = async (path: string, png: Uint8Array, request: object): Promise<unknown> => {
    const form = new FormData();
    form.set("image", new Blob([new Uint8Array(png)], { type: "image/png" }), "scene.png");
    form.set(
      "request",
      new Blob([JSON.stringify(request)], { type: "application/json" }),
      "request.json",
    );
    const response = await send(new URL(path, url), {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body: form,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = await response.text();
    if (!response.ok)
      throw new Error(`POST ${path} answered ${response.status}: ${body.slice(0, 500)}`);
    return JSON.parse(body);
  };
  return {
    caption: async (png) => {
      const { text } = (await post("/v1/caption", png, { max_new_tokens: 40 })) as { text: string };
      return text;
    },
    answer: async (png, questions) => {
      const { answers } = (await post("/v1/vqa", png, { questions, max_new_tokens: 10 })) as {
        answers: readonly { answer: string }[];
      };
      return answers.map(({ answer }) => answer);
    },
    match: async (png, texts) => {
      const { matches } = (await post("/v1/match", png, { texts })) as {
        matches: readonly { itm: number; itc: number }[];
      };
      return matches;
    },
  };
}
