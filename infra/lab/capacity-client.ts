// Asks a Worker what a mix of requests asks: each picture is a small file, sent as it would be.
import http from "node:http";
import { drawnPhoto } from "../../test/support/photos.ts";
import { type MixRequest, type RequestMix } from "../capacity/request-mix.ts";
import { picturePixels } from "../capacity/mix-pictures.ts";
import { mixTexts } from "../capacity/mix-texts.ts";
import { timedImageSize } from "../capacity/timed-models.ts";

export interface CapacityAnswer {
  readonly status: number;
  readonly tookMs: number;
  /** `Blip2-Served` of the answer. */
  readonly served: string;
  /** What the node said that it took, of the answer's Server-Timing. */
  readonly nodeMs: number;
}

export interface CapacityClient {
  ask(request: MixRequest): Promise<CapacityAnswer>;
}

const paths = { caption: "/v1/caption", vqa: "/v1/vqa", match: "/v1/match" } as const;

async function fileOf(picture: number): Promise<string> {
  const pixels = picturePixels(picture);
  const file = await drawnPhoto(
    (x, y, channel) => pixels[(y * timedImageSize + x) * 3 + channel] ?? 0,
    [timedImageSize, timedImageSize],
    "png",
  );
  return Buffer.from(file).toString("base64");
}

export function capacityClient(url: string, key: string, mix: RequestMix): CapacityClient {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 512 });
  const most = Math.max(...mix.answer_tokens);

  async function bodyOf({ task, picture = 0, text = 0 }: MixRequest): Promise<string> {
    const image = { base64: await fileOf(picture) };
    if (task === "match")
      return JSON.stringify({ image, texts: mixTexts.labels(mix, text), scores: ["itm"] });
    const words = task === "vqa" ? { questions: [mixTexts.question(text)] } : {};
    return JSON.stringify({ image, ...words, max_new_tokens: most });
  }

  return {
    async ask(request) {
      if (request.task === "search") throw new Error("the lab's Worker has nothing to search in");
      const body = await bodyOf(request);
      const startedAt = performance.now();
      const { status, headers } = await new Promise<{
        status: number;
        headers: http.IncomingHttpHeaders;
      }>((resolve, reject) => {
        const sent = http.request(new URL(paths[request.task as keyof typeof paths], url), {
          ...{ agent, method: "POST" },
          headers: {
            authorization: `Bearer ${key}`,
            "content-type": "application/json",
            "content-length": String(Buffer.byteLength(body)),
          },
        });
        sent.on("error", reject);
        sent.on("response", (response) => {
          response.resume();
          response.on("error", reject);
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers }),
          );
        });
        sent.end(body);
      });
      const timing = String(headers["server-timing"] ?? "");
      return {
        status,
        tookMs: performance.now() - startedAt,
        served: String(headers["blip2-served"] ?? ""),
        nodeMs: Number(/\bnode;dur=([\d.]+)/.exec(timing)?.[1] ?? 0),
      };
    },
  };
}
