// `blip2 eval` end to end: nano on an exam of its own world written as COCO files, and a tiny retrieval model whose
// ranks are computed again by hand.
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeCoco } from "../../gpu-node/nano/scenes/coco.ts";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { readCalibration } from "../../gpu-node/src/artifact/calibration-file.ts";
import { openArtifact } from "../../gpu-node/src/artifact/open-artifact.ts";
import { evaluate } from "../../gpu-node/src/cli/eval.ts";
import type { Report } from "../../gpu-node/src/cli/eval/report.ts";
import { createImageReader } from "../../gpu-node/src/cli/read-image.ts";
import { announce } from "../../gpu-node/src/engine/announce.ts";
import { loadRetrievalModel } from "../../gpu-node/src/runtime/load-model.ts";
import { nanoArtifact, nanoItmArtifact } from "../support/nano-artifact.ts";
import { buildTinyPair } from "../support/tiny-pair.ts";

const scenes = 12;
let folder: string;
let nano: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "blip2-eval-"));
  nano = await nanoArtifact();
  await writeCoco({ seed: 404, count: scenes, out: at("exam") }, await openDrawings());
});
afterAll(() => rm(folder, { recursive: true }));

async function run(args: readonly string[], stopAt?: RegExp) {
  const out: string[] = [];
  const err: string[] = [];
  const stop = new AbortController();
  const io = {
    stdout: (line: string) => void out.push(line),
    stderr(line: string) {
      err.push(line);
      if (stopAt?.test(line)) stop.abort(new Error("stopped"));
    },
    signal: stop.signal,
  };
  return { status: await evaluate(args, io), out, err };
}
const report = async (name: string): Promise<Report> =>
  JSON.parse(await readFile(at(name), "utf8")) as Report;
const value = (scores: Report["scores"], name: string): number =>
  (scores[name] as { value: number }).value;

const captions = (model = nano) => [
  "captions",
  ...["--model", model, "--images", at("exam/pictures")],
  ...["--annotations", at("exam/captions.json"), "--preset", "plain"],
];
const vqa = () => [
  "vqa",
  ...["--model", nano, "--images", at("exam/pictures"), "--questions", at("exam/questions.json")],
  ...["--annotations", at("exam/annotations.json"), "--preset", "plain"],
];

describe("the exam as COCO files", () => {
  test("every picture has two or more captions, every question ten answers that agree", async () => {
    expect(await readdir(at("exam/pictures"))).toHaveLength(scenes);
    const { images, annotations } = JSON.parse(
      await readFile(at("exam/captions.json"), "utf8"),
    ) as {
      images: { id: number }[];
      annotations: { image_id: number }[];
    };
    for (const { id } of images) {
      expect(annotations.filter(({ image_id }) => image_id === id).length).toBeGreaterThan(2);
    }
    const asked = JSON.parse(await readFile(at("exam/annotations.json"), "utf8")) as {
      annotations: { answers: { answer: string }[]; answer_type: string }[];
    };
    for (const { answers, answer_type } of asked.annotations) {
      expect(answers).toHaveLength(10);
      expect(new Set(answers.map(({ answer }) => answer)).size).toBe(1);
      expect(/^\d$/.test(answers[0]?.answer ?? "")).toBe(answer_type === "number");
    }
  });
  test("a folder that holds something is left as it is", async () => {
    const drawings = await openDrawings();
    await expect(writeCoco({ seed: 1, count: 1, out: at("exam") }, drawings)).rejects.toThrow(
      /not empty/,
    );
    expect(await readdir(folder)).toEqual(["exam"]);
  });
});

describe("captions", () => {
  test("nano says what is true: near the best that one frame of several can score", async () => {
    const { status, out } = await run([
      ...captions(),
      ...["--report", at("c.json"), "--plot", at("c.svg"), "--json"],
    ]);
    expect(status).toBe(0);
    const { items, ...summary } = await report("c.json");
    expect(out.map((line) => JSON.parse(line) as unknown)).toEqual([summary]);
    expect(summary).toMatchObject({
      task: "captions",
      model: { name: "nano", family: "opt" },
      settings: { preset: "plain", prompt: null, limit: null, generation: { num_beams: 1 } },
      data: { pictures: scenes, of_pictures: scenes },
    });
    expect(value(summary.scores, "CIDEr")).toBeGreaterThan(6.5);
    expect(value(summary.scores, "CIDEr")).toBeLessThan(10);
    expect(value(summary.scores, "BLEU-4")).toBeGreaterThan(0.8);
    expect(items).toHaveLength(scenes);
    expect(await readFile(at("c.svg"), "utf8")).toMatch(/^<svg.*CIDEr.*<\/svg>\n$/s);
    expect(await readdir(folder)).not.toContain("c.json.partial");
  });

  test("the same captions from a file score the same; others score less", async () => {
    const { items, scores } = await report("c.json");
    const said = items as { image_id: number; caption: string }[];
    await writeFile(at("said.json"), JSON.stringify(said));
    const about = ["captions", "--annotations", at("exam/captions.json"), "--json"];
    const same = await run([...about, "--score", at("said.json")]);
    expect(JSON.parse(same.out[0] ?? "")).toMatchObject({ model: null, scores });

    // Each picture's caption given to the next.
    const turned = said.map(({ image_id }, index) => ({
      image_id,
      caption: said[(index + 1) % said.length]?.caption,
    }));
    await writeFile(at("turned.json"), JSON.stringify(turned));
    const worse = await run([...about, "--score", at("turned.json")]);
    const { scores: turnedScores } = JSON.parse(worse.out[0] ?? "") as Report;
    expect(value(turnedScores, "CIDEr")).toBeLessThan(value(scores, "CIDEr") / 4);
    await expect(
      run([...about, "--score", at("said.json"), "--model", nano]),
    ).rejects.toMatchObject({ code: "usage" });
  });

  test("one that was ended goes on where it stood; other settings are refused", async () => {
    const args = [...captions(), "--report", at("again.json"), "--batch", "4"];
    await expect(run(args, /^captions: 4 of/)).rejects.toThrow("stopped");
    const kept = await readFile(at("again.json.partial"), "utf8");
    expect(kept.split("\n")).toHaveLength(1 + 4 + 1);

    await expect(run([...args, "--num-beams", "2"])).rejects.toThrow(
      /again\.json\.partial was begun with other settings \(generation: /,
    );
    // A mark shows that what stood there was not written anew; the end is that of a run that was killed.
    const marked = kept.replace(/"text":"[^"]*"/, '"text":"marked"');
    await writeFile(at("again.json.partial"), `${marked}{"id":12,"te`);
    const { err } = await run(args);
    expect(err).toContain(`going on after 4 of ${scenes}`);
    const [first, ...rest] = (await report("again.json")).items as { caption: string }[];
    const [whole, ...others] = (await report("c.json")).items as { caption: string }[];
    expect(first?.caption).toBe("marked");
    expect(whole?.caption).not.toBe("marked");
    expect(rest.map(({ caption }) => caption)).toEqual(others.map(({ caption }) => caption));
    expect(await readdir(folder)).not.toContain("again.json.partial");
  });

  test("LAVIS's settings by default, said in the report; a limit is said too", async () => {
    const [task, ...flags] = captions().slice(0, -2);
    const { out } = await run([task ?? "", ...flags, "--limit", "2", "--num-beams", "3", "--json"]);
    expect(JSON.parse(out[0] ?? "")).toMatchObject({
      settings: {
        preset: "coco-captions",
        prompt: "a photo of",
        limit: 2,
        generation: { num_beams: 3, max_new_tokens: 30, min_new_tokens: 8, length_penalty: 1 },
      },
      data: { pictures: 2, of_pictures: scenes },
      notes: [`Of ${scenes} pictures the first 2 were taken (--limit).`],
    });
  });

  test("a picture that is missing or damaged ends it by name", async () => {
    await cp(at("exam/pictures"), at("some"), { recursive: true });
    await rm(at("some/scene-000003.png"));
    const args = captions().map((arg) => (arg === at("exam/pictures") ? at("some") : arg));
    await expect(run(args)).rejects.toMatchObject({
      code: "dataset_invalid",
      detail: expect.stringMatching(
        /1 of 12 pictures are not there: .*scene-000003\.png/,
      ) as string,
    });
    const { status } = await run([...args, "--limit", "2"]);
    expect(status).toBe(0);
    await writeFile(at("some/scene-000002.png"), "no picture");
    await expect(run([...args, "--limit", "2"])).rejects.toThrow(/scene-000002\.png: /);
  });
});

describe("vqa", () => {
  test("nano answers as the scenes are; the rules differ in number words alone", async () => {
    await run([...vqa(), "--report", at("v.json")]);
    const { scores, items } = await report("v.json");
    expect(value(scores, "accuracy")).toBeGreaterThan(0.9);
    const answers = items as { answer: string; accuracy: number; accuracy_official: number }[];
    const differing = answers.filter((each) => each.accuracy !== each.accuracy_official);
    expect(differing.length).toBeGreaterThan(0);
    for (const { answer } of differing) {
      expect(["zero", "one", "two", "three", "four"]).toContain(answer);
    }
    expect(scores["by_answer_type"]).toHaveLength(3);
  });

  test("with LAVIS's template nano is asked in words it has not learned, and the score falls", async () => {
    const [task, ...flags] = vqa().slice(0, -2);
    const asked = [task ?? "", ...flags, "--num-beams", "1", "--length-penalty", "1", "--json"];
    const { out } = await run(asked);
    const { scores, settings } = JSON.parse(out[0] ?? "") as Report;
    expect(settings).toMatchObject({ template: "Question: {} Short answer:", text: "lavis" });
    const own = (await report("v.json")).scores;
    expect(value(scores, "accuracy")).toBeLessThan(value(own, "accuracy"));
  });
});

describe("retrieval", () => {
  test("nano-itm finds its scenes among the others, both ways", async () => {
    const args = ["--model", await nanoItmArtifact(), "--images", at("exam/pictures")];
    const { out } = await run([
      "retrieval",
      ...args,
      ...["--annotations", at("exam/retrieval.json"), "--k-test", "4", "--json"],
    ]);
    const { scores, model } = JSON.parse(out[0] ?? "") as Report;
    expect(model).toMatchObject({ family: "retrieval", name: "nano-itm" });
    for (const by of ["itc", "itm"]) {
      for (const way of ["image_to_text", "text_to_image"]) {
        const recalls = (scores[by] as Record<string, Report["scores"]>)[way] ?? {};
        expect(value(recalls, "R@1"), `${by} ${way}`).toBeGreaterThan(0.85);
      }
    }
  });

  test("search and labels: each stage, and what the scores mean beside the artifact", async () => {
    const copy = at("nano-itm");
    await cp(await nanoItmArtifact(), copy, { recursive: true });
    const about = ["--model", copy, "--images", at("exam/pictures"), "--calibrate", "--json"];
    const queries = ["--annotations", at("exam/queries.json")];
    const unanswered = ["--unanswered", at("exam/unanswered.json")];
    const searched = await run(["search", ...about, ...queries, ...unanswered]);
    const { scores } = JSON.parse(searched.out[0] ?? "") as Report;
    for (const stage of ["text_mean", "itc", "itm"]) {
      const figures = scores[stage] as Report["scores"];
      expect(value(figures, "recall_1"), stage).toBeGreaterThan(0.6);
      expect(value(figures, "recall_10"), stage).toBeGreaterThan(0.9);
    }
    const labelled = await run(["labels", ...about, "--annotations", at("exam/labels.json")]);
    const { scores: ofLabels } = JSON.parse(labelled.out[0] ?? "") as Report;
    expect(value(ofLabels, "precision")).toBeGreaterThan(0.6);
    const { manifest } = await openArtifact(copy);
    const calibration = await readCalibration(copy, manifest);
    expect(calibration).toMatchObject({
      pictures: scenes,
      itc: (scores["curves"] as Report["scores"])["itc"],
    });
    expect(calibration?.label).toEqual(ofLabels["curve"]);
    const model = await loadRetrievalModel(copy);
    expect(announce(model)).toMatchObject({ calibration });
    await model.close();
    await expect(
      run(["retrieval", ...about, "--annotations", at("exam/retrieval.json")]),
    ).rejects.toThrow(/--calibrate is for search and labels, not for retrieval/);
  });

  test("ranks are those of the model's own scores", async () => {
    const { comparer } = await buildTinyPair(at("pair"));
    const list = (
      JSON.parse(await readFile(at("exam/retrieval.json"), "utf8")) as { image: string }[]
    )
      .slice(0, 5)
      .map(({ image }, index) => ({
        image,
        caption: [
          ["a cat"],
          ["the dog on the mat"],
          ["a mat", "cats"],
          ["the cat on a dog"],
          ["dogs"],
        ][index],
      }));
    await writeFile(at("few.json"), JSON.stringify(list));
    const args = ["retrieval", "--model", comparer, "--images", at("exam/pictures")];
    await run([
      ...args,
      "--annotations",
      at("few.json"),
      "--k-test",
      "3",
      "--report",
      at("r.json"),
    ]);
    const { items, settings } = await report("r.json");
    expect(settings).toMatchObject({ preset: "retrieval", k_test: 3, max_text_tokens: 35 });

    const model = await loadRetrievalModel(comparer);
    try {
      const readImage = createImageReader();
      const texts = list.flatMap(({ caption = [] }) => caption);
      const table: { itc: number; itm: number }[][] = [];
      for (const { image } of list) {
        const path = at(`exam/pictures/${image}`);
        const seen = await model.lookAt((await readImage(path, model.manifest.image.size)).pixels);
        const itc = await model.match(seen, texts, ["itc"]);
        const logits = await model.matchLogits(seen.imageEmbeds, texts);
        table.push(
          texts.map((_, text) => ({ itc: itc[text]?.itc ?? NaN, itm: logits[text]?.[1] ?? NaN })),
        );
      }
      const reranked = (row: readonly { itc: number; itm: number }[]): number[] => {
        const third = row.map(({ itc }) => itc).sort((a, b) => b - a)[2] ?? NaN;
        return row.map(({ itc, itm }) => (itc >= third ? itc + itm : -100));
      };
      const rank = (scores: readonly number[], right: readonly number[]): number => {
        const best = Math.max(...right.map((place) => scores[place] ?? NaN));
        return scores.filter((score, place) => !right.includes(place) && score >= best).length;
      };
      let place = 0;
      const expected = list.map(({ caption = [] }, picture) => {
        const right = caption.map((_, index) => place + index);
        place += caption.length;
        return {
          rank: rank(reranked(table[picture] ?? []), right),
          texts: right.map((text) => ({
            rank: rank(reranked(table.map((row) => row[text] ?? { itc: NaN, itm: NaN })), [
              picture,
            ]),
          })),
        };
      });
      expect(items).toMatchObject(expected);
      expect(new Set(expected.map((each) => each.rank)).size).toBeGreaterThan(1);
    } finally {
      await model.close();
    }
  });

  test("a text longer than is read is cut, its closing token kept", async () => {
    const model = await loadRetrievalModel(at("pair/comparer"));
    try {
      const long = "a cat on the mat";
      const [whole] = await model.embedTexts([long]);
      const [cut] = await model.embedTexts([long], { maxTokens: 4 });
      const [short] = await model.embedTexts(["a cat"]);
      expect(cut?.projected.data).toEqual(short?.projected.data);
      expect(cut?.projected.data).not.toEqual(whole?.projected.data);
    } finally {
      await model.close();
    }
  });

  test("a model that writes is refused, and so are flags of another task", async () => {
    const args = ["--annotations", at("exam/retrieval.json"), "--images", at("exam/pictures")];
    await expect(run(["retrieval", "--model", nano, ...args])).rejects.toMatchObject({
      code: "usage",
      detail: expect.stringMatching(/captions and answers/) as string,
    });
    await expect(run(["retrieval", "--model", nano, ...args, "--prompt", "x"])).rejects.toThrow(
      /--prompt is for captions, not for retrieval/,
    );
    await expect(run(["captions", ...args])).rejects.toThrow(/--model and --images, or --score/);
    await expect(run(["caption", ...args])).rejects.toThrow(
      /captions, vqa, retrieval, search, labels/,
    );
    await expect(run(["captions", "--model", nano, ...args, "--preset", "coco"])).rejects.toThrow(
      /--preset is one of plain, coco-captions/,
    );
    await expect(run(["captions", "--model", nano, ...args, "--limit", "0"])).rejects.toThrow(
      /--limit is a whole number of at least 1/,
    );
  });
});
