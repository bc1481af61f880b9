// Whether a real CMS itself refuses a write of what has changed since it was read, asked through its adapter.
import { adapters } from "../../../edge/src/webhooks/adapters.ts";
import { cmsFetch } from "../../../edge/src/webhooks/cms-fetch.ts";
import type { RealCms } from "./real-cms.ts";

type Editable = RealCms & Required<Pick<RealCms, "retitle">>;

/** A write of ours right after a human's, with what was read before it: the CMS itself must refuse it. */
export async function staleWrite(
  cms: Editable,
  id: string,
): Promise<[holds: boolean, what: string]> {
  const { kind, url, token } = cms;
  const signal = AbortSignal.timeout(30_000);
  const place = { base_url: url, allow_private: true };
  const [internet, { host }] = [fetch, new URL(url)];
  const ways = { internet, privateNet: fetch, ports: [], privateOrigins: [host] };
  const ask = cmsFetch({ ...{ ways, place, allow: [], timeoutMs: 10_000, signal } });
  const { preset } = adapters[kind].targets.alt ?? { preset: null };
  const ours = { ask, baseUrl: url, token, signal, targets: { alt: preset ?? "" } };
  const asset = await adapters[kind].read(ours, id);
  if (asset === undefined) return [false, `${kind}: the picture is there`];
  await cms.retitle(id, "A human was quicker");
  const written = await adapters[kind].write(ours, asset, { alt: "Ours" });
  const { alt } = await cms.words(id);
  const holds = written === "conflict" && alt === "A human was quicker";
  return [holds, `${kind}: refuses to write over what has changed since (${written}, ${alt})`];
}
