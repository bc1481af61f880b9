import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import golden from "../../../shared/src/wire/golden/join-1.json" with { type: "json" };
import { expect, test, vi } from "vitest";
import { joinEdge } from "./join-edge.ts";

const { token, proof } = golden.request;

async function join(answer: () => Response | Promise<Response>, given = token) {
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const asked: Request[] = [];
  const joined = await joinEdge({
    ...{ edgeUrl: "https://edge.example.com/", token: given, proof, log },
    signal: new AbortController().signal,
    fetch: async (input, init) => {
      asked.push(new Request(input, init));
      return answer();
    },
  });
  return { joined, log, asked };
}

test("a token for a key; neither is in the log", async () => {
  const { joined, log, asked } = await join(() => Response.json(golden.response, { status: 201 }));
  expect(joined).toEqual(golden.response);
  expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "POST https://edge.example.com/internal/nodes/join",
  ]);
  expect(await asked[0]?.json()).toEqual({ token, proof });
  const logged = JSON.stringify(log.info.mock.calls);
  expect(logged).toContain("gpu-1.0123456789ab");
  for (const secret of [token, proof, golden.response.key.secret]) {
    expect(logged).not.toContain(secret);
  }
});

test("a refusal in the edge's words; what is no edge; what does not answer", async () => {
  const refused = new AppError("forbidden", "The token is over.");
  await expect(join(() => problemResponse(refused))).rejects.toMatchObject({
    code: "forbidden",
    detail: "The token is over.",
  });
  for (const other of [() => new Response("<html>", { status: 502 }), () => Response.json({})]) {
    await expect(join(other)).rejects.toMatchObject({ code: "api_unexpected" });
  }
  await expect(join(() => Promise.reject(new TypeError("refused")))).rejects.toMatchObject({
    code: "api_unreachable",
  });
  await expect(join(() => Response.json({}), "b2e_join_short")).rejects.toMatchObject({
    code: "usage",
  });
});
