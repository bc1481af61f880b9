// Program of the process that startProviderProcess starts: opens the model, looks at the picture, answers, closes.
import process from "node:process";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { createImageReader } from "../../gpu-node/src/cli/read-image.ts";
import { loadModel } from "../../gpu-node/src/runtime/load-model.ts";
import type { Placement } from "../../gpu-node/src/runtime/placement.ts";
import type { Answer, Question, Reply } from "./provider-answers.ts";

async function answer(question: Question): Promise<Answer> {
  const { artifact, provider, picture, texts, maxNewTokens } = question;
  const placements: Record<string, Placement> = {};
  const model = await loadModel(artifact, {
    provider,
    threads: 1,
    ...(question.placements
      ? { onPlacement: (graph: string, placement: Placement) => (placements[graph] = placement) }
      : {}),
  });
  try {
    const { pixels } = await createImageReader()(picture, model.manifest.image.size);
    const seen = await model.lookAt(pixels);
    const projected = seen.projected.data;
    if (model.kind === "generation") {
      const generation = resolveGeneration({ max_new_tokens: maxNewTokens });
      const { results } = await model.generate(projected, texts, generation);
      const generated = results.map(({ token_ids, log_prob }) => ({
        ids: token_ids,
        logProb: log_prob,
      }));
      return { projected, generated, matches: [], textVector: null, placements };
    }
    const given = texts.map((text) => text ?? "");
    const scores = await model.match(seen, given, ["itm", "itc"]);
    const [first] = await model.embedTexts(given.slice(0, 1));
    const matches = scores.map(({ itm = NaN, itc = NaN }) => ({ itm, itc }));
    const textVector = first?.projected.data ?? null;
    return { projected, generated: [], matches, textVector, placements };
  } finally {
    await model.close();
  }
}

process.on("message", (question: Question) => {
  const reply = (message: Reply): void => void process.send?.(message);
  answer(question).then(
    (found) => reply({ answer: found }),
    (error: unknown) =>
      reply({ error: error instanceof Error ? (error.stack ?? "") : String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
