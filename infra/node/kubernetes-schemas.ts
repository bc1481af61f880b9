// Judges Kubernetes objects by the published schemas of Kubernetes, KEDA and the Prometheus operator, which the
// packages @kubernetes-models carry as compiled validators. Those let members pass that no schema knows; here such
// a member is a fault, since it is mostly one that is misspelt.
import type { KubernetesObject } from "./read-manifests.ts";

/** Where the classes are that carry a validator, by the group of the API. */
const packageOf = (apiVersion: string): string => {
  if (apiVersion.startsWith("keda.sh/")) return "@kubernetes-models/keda";
  if (apiVersion.startsWith("monitoring.coreos.com/"))
    return "@kubernetes-models/prometheus-operator";
  return "kubernetes-models";
};

/** The same data, and which members of it were never looked at: a validator looks at what its schema knows. */
function watched(data: unknown): { readonly data: unknown; readonly unseen: () => string[] } {
  const seen = new Map<object, Set<string>>();
  const paths = new Map<object, string>();
  const proxies = new WeakMap<object, object>();
  const watch = (value: unknown, path: string): unknown => {
    if (typeof value !== "object" || value === null) return value;
    const made = proxies.get(value);
    if (made !== undefined) return made;
    const names = new Set<string>();
    seen.set(value, names);
    paths.set(value, path);
    const proxy = new Proxy(value, {
      get(target, name, receiver): unknown {
        if (typeof name === "string") names.add(name);
        return watch(Reflect.get(target, name, receiver), `${path}/${String(name)}`);
      },
    });
    proxies.set(value, proxy);
    return proxy;
  };
  return {
    data: watch(data, ""),
    unseen: () =>
      [...seen].flatMap(([value, names]) =>
        Object.keys(value)
          .filter((name) => !names.has(name))
          .map((name) => `${paths.get(value)}/${name}`),
      ),
  };
}

/** Every fault; none for an object that is right. Throws for a kind that no schema knows. */
export async function schemaFaults(object: KubernetesObject): Promise<string[]> {
  const { apiVersion, kind } = object;
  const models = (await import(`${packageOf(apiVersion)}/${apiVersion}/${kind}`)) as Readonly<
    Record<string, { readonly prototype: { validate(this: unknown): void } }>
  >;
  const model = models[kind];
  if (model === undefined) throw new Error(`there is no schema of ${apiVersion} ${kind}`);
  const { data, unseen } = watched(object);
  try {
    model.prototype.validate.call(data);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
  return unseen().map((path) => `${path} is in no schema`);
}
