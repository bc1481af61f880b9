// What a namespace tells of itself, and moving its candidates from one store to the other.
import type { CandidateStore } from "@blip2-edge/shared/contracts/candidates";
import type { NamespaceInfo } from "@blip2-edge/shared/contracts/images";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import type { MovableIndex } from "../search/image-index.ts";

export async function namespaceInfo(
  index: MovableIndex,
  namespace: string,
): Promise<NamespaceInfo> {
  const [{ records, pictures, by, keepOriginals }, { store, target, waiting, leaving, fault }] =
    await Promise.all([index.describe(), index.candidates()]);
  return {
    ...{ namespace, images: records, pictures },
    model: by?.model ?? null,
    model_revision: by?.modelRevision ?? null,
    candidates: {
      ...{ store, moving_to: store === target ? null : target, waiting, leaving, fault },
    },
    keep_originals: keepOriginals,
  };
}

/** Begins the move, or turns one round. Throws invalid_request, index_full, candidates_unavailable. */
export async function moveCandidates(
  index: MovableIndex,
  namespace: string,
  to: CandidateStore,
): Promise<void> {
  const outcome = await index.moveCandidates(to);
  switch (outcome.kind) {
    case "moving":
      return;
    case "not_bound":
      throw refused(
        "needs a Vectorize index, and none is bound to this Worker: see docs/search.md",
      );
    case "other_dimensions":
      throw refused(
        `needs a Vectorize index of ${outcome.dim} dimensions; the one that is bound has ${outcome.dimensions}`,
      );
    case "too_many":
      throw new AppError(
        "index_full",
        `The namespace ${namespace} holds more than ${outcome.most} images, which is the most without Vectorize.`,
      );
    case "unavailable":
      throw new AppError("candidates_unavailable", "Vectorize does not answer. Ask again later.", {
        retryAfterS: 5,
      });
  }
}

const refused = (message: string): AppError => invalidRequest([{ field: "candidates", message }]);
