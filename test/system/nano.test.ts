// The embedded models measured through the Worker's HTTP API: 60 scenes of a fixed seed, gates of captions and answers
// three points below those of the full evaluation (`npm run eval:nano`). And that the two look at a picture once.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeMetric } from "../support/node-metrics.ts";
import { root, samplesDir, startTestStack, type TestStack } from "../support/stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(() => stack?.stop());

const sitExam = async (...more: readonly string[]): Promise<void> => {
  const at = ["--url", stack.url, "--key", stack.apiKey, "--seed", "2026", "--scenes", "60"];
  const child = spawn(process.execPath, [
    path.join(root, "gpu-node/nano/evaluate/main.ts"),
    ...at,
    ...more,
  ]);
  let output = "";
  child.stdout.on("data", (text) => (output += String(text)));
  child.stderr.on("data", (text) => (output += String(text)));
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code, output).toBe(0);
};

test("nano passes its gates on scenes it has never seen", { timeout: 180_000 }, () =>
  sitExam("--gates", "test"),
);

test("nano-itm tells true statements from nearly true ones", { timeout: 180_000 }, () =>
  sitExam("--exam", "matching"),
);

test("a caption, matches, labels and vectors of one picture cost one look", async () => {
  const file = await readFile(path.join(samplesDir, "three-blue-balloons-and-a-cake.png"));
  const image = { base64: file.toString("base64") };
  const passes = () => nodeMetric(stack, "vision_passes_total");
  const before = await passes();

  const { text, model } = await stack.client.caption({ image });
  expect([model, text]).toEqual([
    "nano",
    expect.stringMatching(/^three blue balloons and a cake on an? \w+ background$/),
  ]);
  const matched = await stack.client.match({ image, texts: [text, "four dogs"] });
  expect(matched.model).toBe("nano-itm");
  const [yes, no] = matched.matches;
  expect(yes?.itm).toBeGreaterThan(0.9);
  expect(no?.itm).toBeLessThan(0.1);
  expect(yes?.itc).toBeGreaterThan((no?.itc ?? 1) + 0.2);
  const { labels } = await stack.client.classify({ image, labels: ["dog", "cake", "car"] });
  expect(labels[0]?.label).toBe("cake");
  const { embedding } = await stack.client.embed({ image });
  expect([embedding.length, (embedding[0] as number[]).length]).toEqual([16, 128]);

  expect(await passes()).toBe(before + 1);
});

test("words find a sample by all that is true of it or by part; what is not there is no match", async () => {
  const namespace = "samples";
  const owls = "two-owls-and-a-lion.png";
  for (const id of [owls, "a-chicken-and-two-pigs.png", "three-blue-balloons-and-a-cake.png"]) {
    const bytes = await readFile(path.join(samplesDir, id));
    const auto_tags = { labels: ["owl", "lion", "pig", "car"] };
    const { auto_tags: tags = [] } = await stack.client.imagePut({
      ...{ namespace, id, image: { bytes }, auto_tags },
    });
    const named = tags.filter(({ from }) => from === "label").map(({ tag }) => tag);
    if (id === owls) expect(named.toSorted()).toEqual(["lion", "owl"]);
    // Three in four labels that are true are found, so no more is asked of the others.
    expect(named).not.toContain("car");
  }
  const ask = (text: string) => stack.client.search({ namespace, text });
  for (const text of [
    "two owls and a lion on a pink background",
    "two owls and a lion",
    "a lion",
  ]) {
    const { hits, calibrated } = await ask(text);
    expect(calibrated).toBe(true);
    expect(hits[0]?.id, text).toBe(owls);
  }
  for (const text of ["three dogs and a tent on a green background", "a car", "zorblick fenquam"]) {
    expect(await ask(text), text).toMatchObject({ hits: [], no_match: true });
  }
});
