// After something was deleted: the name of a namespace that holds nothing any more goes from the list, and comes back
// when something was put meanwhile.
import type { Rooms } from "./rooms.ts";

export async function forgetIfEmpty(
  { indexOf, namespaces }: Pick<Rooms, "indexOf" | "namespaces">,
  tenant: string,
  namespace: string,
): Promise<void> {
  const isEmpty = async (): Promise<boolean> =>
    (await indexOf(tenant, namespace).describe()).records === 0;
  if (!(await isEmpty())) return;
  await namespaces.forget(tenant, namespace);
  // A put writes its record first, so either it noted the name after this or its record is seen now.
  if (!(await isEmpty())) await namespaces.note(tenant, namespace);
}
