// A report as a picture: how near every stage is to its limit, and what more callers bring.
import type { Bar, Plot } from "../evaluate/plot.ts";
import type { BenchReport } from "./report.ts";

const bar = (label: string, text: string, share: number): Bar => ({
  label,
  text,
  share: Number.isFinite(share) ? share : 0,
  shareError: 0,
});
const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
/** Of the highest. */
const shares = (values: readonly number[]): number[] => {
  const most = Math.max(...values);
  return values.map((value) => value / most);
};

export function plotReport({
  artifact,
  machine,
  stages,
  load,
  captions,
  peer = [],
}: BenchReport): Plot {
  const rates = shares(load.levels.map(({ tokensPerSecond }) => tokensPerSecond));
  const ours = captions.map(({ images, seconds }) => ({
    label: `${artifact.precision}, ${images}`,
    perMinute: (60 * images) / seconds,
  }));
  const theirs = peer.map(({ dtype, images, captionSeconds }) => ({
    label: `transformers ${dtype}, ${images}`,
    perMinute: (60 * images) / captionSeconds,
  }));
  const all = [...ours, ...theirs];
  const allShares = shares(all.map(({ perMinute }) => perMinute));
  return {
    title: artifact.name,
    subtitle: `${machine.cpu}, ${machine.cores} cores${machine.busy ? ", busy" : ""}`,
    groups: [
      {
        title: "Stages: share of what the kernels allow",
        bars: stages.map(({ stage, batch, efficiency }) =>
          bar(`${stage}, ${batch} at a time`, percent(efficiency), efficiency),
        ),
      },
      {
        title: "Callers at a time: tokens per second",
        bars: load.levels.map(({ concurrency, tokensPerSecond }, at) =>
          bar(String(concurrency), tokensPerSecond.toFixed(1), rates[at] ?? 0),
        ),
      },
      {
        title: "Images together: captions per minute",
        bars: all.map(({ label, perMinute }, at) =>
          bar(label, perMinute.toFixed(1), allShares[at] ?? 0),
        ),
      },
    ],
  };
}
