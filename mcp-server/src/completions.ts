// How what was begun may go on, from what the API serves to this key. Without an answer there is nothing to
// complete, which is no failure: whoever types goes on typing.
import type { Client } from "@blip2-edge/shared/client";

const maxCompletions = 100;

const orNothing = async <Value>(values: Promise<Value[]>): Promise<Value[]> => {
  try {
    return await values;
  } catch {
    return [];
  }
};

/** Models that write captions. */
export const captionModels = (client: Client, begun: string): Promise<string[]> =>
  orNothing(
    client
      .models()
      .then(({ data }) =>
        data
          .filter(({ id, abilities }) => id.startsWith(begun) && abilities.includes("caption"))
          .map(({ id }) => id),
      ),
  );

/** Namespaces that hold pictures. */
export const namespaceNames = (client: Client, begun: string): Promise<string[]> =>
  orNothing(
    client
      .namespaceList({ limit: maxCompletions, ...(begun === "" ? {} : { prefix: begun }) })
      .then(({ namespaces }) => namespaces.map(({ namespace }) => namespace)),
  );

/** Ids of a namespace; they come sorted, so those that go on stand right behind what was begun. */
export const recordIds = (
  client: Client,
  namespace: string | undefined,
  begun: string,
): Promise<string[]> => {
  if (namespace === undefined) return Promise.resolve([]);
  const after = begun === "" ? {} : { cursor: begun };
  return orNothing(
    client
      .imageList({ namespace, limit: maxCompletions, ...after })
      .then(({ images }) => images.map(({ id }) => id).filter((id) => id.startsWith(begun))),
  );
};
