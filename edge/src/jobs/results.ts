// A page of a job's results, in the order in which they were recorded: who asks again with its cursor gets
// what was recorded since and misses nothing, also while the job runs.
import {
  maxResultsPerPage,
  type JobResult,
  type JobResults,
} from "@blip2-edge/shared/contracts/jobs";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import type { JobFiles } from "./job-files.ts";
import type { JobRecord } from "./job-record.ts";
import type { JobStore, RecordedItem } from "./job-store.ts";

const defaultLimit = 50;
/** Of the results in one answer; one that is longer comes alone. */
const maxPageBytes = 4 * 1024 * 1024;

export async function resultsOf(
  { jobs, files }: { readonly jobs: Pick<JobStore, "recorded">; readonly files: JobFiles },
  { id, tenant, finished_at: finishedAt }: JobRecord,
  after: number,
  limit = Math.min(defaultLimit, maxResultsPerPage),
): Promise<JobResults> {
  const found = await jobs.recorded(id, after, limit + 1);
  const page: RecordedItem[] = [];
  let bytes = 0;
  for (const item of found.slice(0, limit)) {
    bytes += item.result_bytes ?? 0;
    if (page.length > 0 && bytes > maxPageBytes) break;
    page.push(item);
  }
  const results = await Promise.all(
    page.map(async (item): Promise<JobResult> => {
      const stored =
        item.state === "succeeded"
          ? await files.getResult(tenant, id, item.n, item.lease ?? "")
          : undefined;
      return resultOf(item, stored);
    }),
  );
  const isLast = finishedAt !== null && page.length === found.length;
  return { results, ...(isLast ? {} : { cursor: String(page.at(-1)?.seq ?? after) }) };
}

function resultOf(item: RecordedItem, stored: unknown): JobResult {
  const { n: index, id, task, state: status, attempts } = item;
  const about = {
    ...{ index, ...(id === null ? {} : { id }), task, attempts },
    finished_at: new Date(item.finished_at).toISOString(),
  };
  if (status !== "succeeded") {
    return { ...about, status, ...(item.problem === null ? {} : { problem: item.problem }) };
  }
  if (typeof stored === "object" && stored !== null) {
    return { ...about, status, result: stored as Record<string, unknown> };
  }
  const lost = new AppError("internal", "The result of this item is no longer stored.");
  return { ...about, status: "failed", problem: toProblem(lost) };
}
