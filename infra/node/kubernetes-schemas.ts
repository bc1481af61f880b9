// Judges Kubernetes objects by the published schemas of Kubernetes, KEDA and the Prometheus operator, which the
// packages @kubernetes-models carry as compiled validators. Those let members pass that no schema knows; here such
// a member is a fault, since it is mostly one that is misspelt.
import type { KubernetesObject } from "./read-manifests.ts";

interface Validator {
  (data: unknown): boolean;
  errors?:
    | readonly {
        readonly instancePath: string;
        readonly message?: string;
        readonly keyword: string;
      }[]
    | null;
}

const core = "kubernetes-models/_schemas/IoK8sApi";
const schemas: Readonly<Record<string, string>> = {
  "v1 ConfigMap": `${core}CoreV1ConfigMap`,
  "v1 Namespace": `${core}CoreV1Namespace`,
  "v1 Service": `${core}CoreV1Service`,
  "v1 ServiceAccount": `${core}CoreV1ServiceAccount`,
  "apps/v1 Deployment": `${core}AppsV1Deployment`,
  "apps/v1 StatefulSet": `${core}AppsV1StatefulSet`,
  "autoscaling/v2 HorizontalPodAutoscaler": `${core}AutoscalingV2HorizontalPodAutoscaler`,
  "networking.k8s.io/v1 NetworkPolicy": `${core}NetworkingV1NetworkPolicy`,
  "policy/v1 PodDisruptionBudget": `${core}PolicyV1PodDisruptionBudget`,
  "keda.sh/v1alpha1 ScaledObject":
    "@kubernetes-models/keda/_schemas/ComGithubKedacoreKedaV2ApisKedaV1alpha1ScaledObject",
  "monitoring.coreos.com/v1 PodMonitor":
    "@kubernetes-models/prometheus-operator/_schemas/ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1PodMonitor",
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

/** Every fault, as path and reason; none for an object that is right. Throws for a kind without a schema. */
export async function schemaFaults(object: KubernetesObject): Promise<string[]> {
  const { apiVersion, kind } = object;
  const specifier = schemas[`${apiVersion} ${kind}`];
  if (specifier === undefined) throw new Error(`there is no schema here of ${apiVersion} ${kind}`);
  const { validate } = (await import(specifier)) as { readonly validate: Validator };
  const { data, unseen } = watched(object);
  if (!validate(data)) {
    return (validate.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`);
  }
  return unseen().map((path) => `${path} is in no schema`);
}
