// A real Payload, installed from the package registry into a cache outside of the repository: the trial that
// `npm run lab:cms` puts every real CMS to, with the one that installs in half a minute. Without a registry it is
// skipped, and says so.
import { expect, test } from "vitest";
import { payloadAway, startPayload } from "../../infra/lab/real-cms/payload.ts";
import { tryRealCms } from "../../infra/lab/real-cms/trial.ts";

const limitMs = 240_000;

test(
  "what is uploaded to a real Payload gets its words, whatever happens on the way",
  { timeout: limitMs },
  async ({ skip }) => {
    const away = await payloadAway();
    if (away !== undefined) {
      // No reporter that we use shows the note of a skipped test.
      console.warn(`skipped: ${away}`);
      skip(away);
    }
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(line);
    const log = (): void => {};
    const faults = await tryRealCms(startPayload, { seed: 8, say, log });
    expect(faults, lines.join("\n")).toEqual([]);
  },
);
