// The Kubernetes manifests beside the published schemas, and beside the node that they run: its flags, its
// routes, the time that it takes to end.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseNodeConfig } from "../../gpu-node/src/config.ts";
import packageFile from "../../package.json" with { type: "json" };
import { schemaFaults } from "./kubernetes-schemas.ts";
import {
  baseObjects,
  flagsOf,
  hasKubectl,
  here,
  kubernetesFolder,
  readYaml,
  rendered,
  yamlFiles,
  type KubernetesObject,
} from "./read-manifests.ts";

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()).default([]),
  env: z.array(z.looseObject({ name: z.string() })).default([]),
  securityContext: z.looseObject({}).optional(),
  ports: z.array(z.object({ name: z.string(), containerPort: z.int() })).default([]),
});
const podSpecSchema = z.looseObject({
  automountServiceAccountToken: z.boolean(),
  terminationGracePeriodSeconds: z.int(),
  securityContext: z.looseObject({}),
  initContainers: z.array(containerSchema).default([]),
  containers: z.array(containerSchema),
});
const workloadSchema = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({ template: z.looseObject({ spec: podSpecSchema }) }),
});
const podsOf = (objects: readonly KubernetesObject[]) =>
  objects
    .filter(({ kind }) => kind === "StatefulSet" || kind === "Deployment")
    .map((object) => {
      const { metadata, spec } = workloadSchema.parse(object);
      return { name: metadata.name, pod: spec.template.spec };
    });
const nodePod = (objects: readonly KubernetesObject[]) => {
  const found = podsOf(objects).find(({ name }) => name === "blip2-node");
  if (found === undefined) throw new Error("there is no node");
  const container = (name: string) =>
    z
      .custom<z.infer<typeof containerSchema>>((value) => value !== undefined)
      .parse([...found.pod.initContainers, ...found.pod.containers].find((c) => c.name === name));
  return { pod: found.pod, container };
};
/** The literals of the base's generated map. */
const settings = (): Record<string, string> => {
  const [kustomization] = readYaml(path.join(kubernetesFolder, "base/kustomization.yaml"));
  const { configMapGenerator } = z
    .looseObject({
      configMapGenerator: z.array(
        z.looseObject({ name: z.string(), literals: z.array(z.string()).default([]) }),
      ),
    })
    .parse(kustomization);
  const literals = configMapGenerator.find(({ name }) => name === "blip2-node")?.literals ?? [];
  return Object.fromEntries(
    literals.map((entry) => [
      entry.slice(0, entry.indexOf("=")),
      entry.slice(entry.indexOf("=") + 1),
    ]),
  );
};
const tunnelConfig = z
  .object({
    "grace-period": z.string(),
    originRequest: z.looseObject({ keepAliveTimeout: z.string() }),
    ingress: z.array(z.object({ hostname: z.string().optional(), service: z.string() })),
  })
  .loose()
  .parse(readYaml(path.join(kubernetesFolder, "base/tunnel-config.yaml"))[0]);
const overlays = ["cpu", "gpu"] as const;

test("every file is YAML without duplicate keys", () => {
  const files = yamlFiles(kubernetesFolder);
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) expect(readYaml(file)).not.toHaveLength(0);
});

test("every object of the base and of the components is what Kubernetes' schema says", async () => {
  const components = [
    "monitor/pod-monitors",
    "autoscale-keda/scaled-object",
    "autoscale-adapter/autoscaler",
  ].flatMap((name) => readYaml(path.join(kubernetesFolder, "components", `${name}.yaml`)));
  for (const object of [...baseObjects(), ...(components as KubernetesObject[])]) {
    expect(await schemaFaults(object), object.kind).toEqual([]);
  }
});

test("a schema finds what is misspelt and what is missing", async () => {
  const [service] = baseObjects().filter(({ kind }) => kind === "Service");
  const misspelt = { ...service, spec: { ports: [{ port: 1, targetport: 2 }] } };
  expect(await schemaFaults(misspelt as unknown as KubernetesObject)).not.toEqual([]);
  const wrong = { ...service, spec: { ports: [{ port: "http" }] } };
  expect(await schemaFaults(wrong as unknown as KubernetesObject)).not.toEqual([]);
});

describe("the node's pod", () => {
  const { pod, container } = nodePod(baseObjects());
  const node = container("node");
  const known: Record<string, string> = {
    ...settings(),
    ...{ POD_NAME: "blip2-node-0", BLIP2_THREADS: "4" },
  };
  const filled = (text: string): string =>
    text.replaceAll(/\$\((\w+)\)/g, (_, name: string) => {
      const value = known[name];
      if (value === undefined) throw new Error(`nothing sets ${name}`);
      return value;
    });

  test("is started with settings that the node takes", () => {
    const { "keys-file": keysFile, model, ...flags } = flagsOf(node.args.map(filled));
    expect(keysFile).toBe("/run/blip2/node-keys");
    const config = parseNodeConfig({
      ...flags,
      model: [model],
      keys: `blip2-node-0:${"x".repeat(32)}`,
    });
    expect(config).toMatchObject({
      port: node.ports[0]?.containerPort,
      announce: "https://blip2.example.com",
      "announce-as": "https://blip2-node-0.gpu.example.com",
      threads: 4,
    });
  });

  test("has the time that the node takes to end", () => {
    const drainS = Number(known["BLIP2_DRAIN_SECONDS"]);
    // Last answers, then the last spans; the last heartbeat goes out meanwhile (start-node.ts).
    const afterDrainS = 1 + 1 + 3;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(drainS + 2 * afterDrainS);
  });

  test("asks for health at the node's own routes, loading has a quarter of an hour", () => {
    const { startupProbe, readinessProbe, livenessProbe } = z
      .looseObject({
        startupProbe: z.looseObject({ periodSeconds: z.int(), failureThreshold: z.int() }),
        readinessProbe: z.looseObject({}),
        livenessProbe: z.looseObject({}),
      })
      .parse(node);
    expect(startupProbe).toMatchObject({ httpGet: { path: "/readyz", port: "http" } });
    expect(startupProbe.periodSeconds * startupProbe.failureThreshold).toBe(900);
    expect(readinessProbe).toMatchObject({ httpGet: { path: "/readyz", port: "http" } });
    expect(livenessProbe).toMatchObject({ httpGet: { path: "/healthz", port: "http" } });
  });

  test("reads its metrics with flags that the command has", () => {
    const flags = flagsOf(container("metrics").args);
    expect(container("metrics").args[0]).toBe("metrics");
    expect(Object.keys(flags).toSorted()).toEqual(["host", "keys-file", "node", "port"]);
    expect(flags["node"]).toBe(`http://127.0.0.1:${node.ports[0]?.containerPort}`);
    expect(Number(flags["port"])).toBe(container("metrics").ports[0]?.containerPort);
  });
});

test.each(overlays.filter(() => hasKubectl()))(
  "overlay %s is rendered, and each object is what its schema says",
  async (overlay) => {
    const objects = rendered(path.join(kubernetesFolder, "overlays", overlay));
    for (const object of objects) expect(await schemaFaults(object), object.kind).toEqual([]);
    const { container } = nodePod(objects);
    const { version } = packageFile;
    const image = { cpu: `:${version}`, gpu: `:${version}-cuda12` }[overlay];
    for (const name of ["node", "metrics", "artifact"]) {
      expect(container(name).image).toBe(`registry.example.com/blip2-node${image}`);
    }
    // What the maps are called is made of what they hold: a change starts the pods anew.
    const maps = objects.filter(({ kind }) => kind === "ConfigMap");
    expect(maps).toHaveLength(2);
    for (const { metadata } of maps) {
      const { name } = z.looseObject({ name: z.string() }).parse(metadata);
      expect(name).toMatch(/^blip2-(node|tunnel)-[a-z0-9]{10}$/);
      expect(JSON.stringify(objects.filter(({ kind }) => kind !== "ConfigMap"))).toContain(name);
    }
    const limits = JSON.stringify(container("node"));
    expect(limits.includes("nvidia.com/gpu")).toBe(overlay === "gpu");
    expect(JSON.stringify(maps).includes('"BLIP2_PROVIDER":"cuda"')).toBe(overlay === "gpu");
  },
);

test("every pod is as Kubernetes' restricted profile wants it, and holds no token", () => {
  const pods = podsOf(baseObjects());
  expect(pods.map(({ name }) => name).toSorted()).toEqual(["blip2-node", "blip2-tunnel"]);
  for (const { pod } of pods) {
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    });
    for (const container of [...pod.initContainers, ...pod.containers]) {
      expect(container.securityContext, container.name).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(container.image, "no floating tag").toMatch(/^blip2-node$|:\d+\.\d+\.\d+/);
    }
  }
});

test("only the tunnel reaches a node, and nothing is let in by default", () => {
  const policies = baseObjects().filter(({ kind }) => kind === "NetworkPolicy");
  const specOf = (name: string): unknown =>
    policies.find(({ metadata }) => (metadata as { name: string }).name === name)?.["spec"];
  expect(specOf("nothing")).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
  expect(specOf("blip2-node")).toMatchObject({
    podSelector: { matchLabels: { "app.kubernetes.io/name": "blip2-node" } },
    ingress: [
      {
        from: [{ podSelector: { matchLabels: { "app.kubernetes.io/name": "blip2-tunnel" } } }],
        ports: [{ protocol: "TCP", port: 8080 }],
      },
      { ports: [{ protocol: "TCP", port: 9464 }] },
    ],
  });
});

test("secrets are named, never held", () => {
  expect(baseObjects().filter(({ kind }) => kind === "Secret")).toEqual([]);
  for (const value of Object.values(settings())) expect(value).not.toMatch(/:[A-Za-z0-9]{24,}/);
});

describe("the tunnel", () => {
  const maxReplicas = z
    .looseObject({ spec: z.looseObject({ maxReplicaCount: z.int() }) })
    .parse(readYaml(path.join(kubernetesFolder, "components/autoscale-keda/scaled-object.yaml"))[0])
    .spec.maxReplicaCount;

  test("has a host name for each node that there may be, and refuses the rest", () => {
    const domain = settings()["BLIP2_NODE_DOMAIN"];
    const names = Array.from({ length: maxReplicas }, (_, at) => `blip2-node-${at}`);
    expect(tunnelConfig.ingress).toEqual([
      ...names.map((name) => ({
        hostname: `${name}.${domain}`,
        service: `http://${name}.blip2-node.blip2.svc.cluster.local:8080`,
      })),
      { service: "http_status:404" },
    ]);
  });

  test("lets go of idle connections before the node does", () => {
    const source = readFileSync(path.join(here, "../../gpu-node/src/http/listen.ts"), "utf8");
    const [, node = ""] = /keepAliveTimeout: ([\d_]+),/.exec(source) ?? [];
    const nodeMs = Number(node.replaceAll("_", ""));
    expect(nodeMs).toBeGreaterThan(0);
    const tunnelMs = Number.parseInt(tunnelConfig.originRequest.keepAliveTimeout, 10) * 1000;
    expect(tunnelMs).toBeLessThan(nodeMs);
  });

  test("both ways of autoscaling have the same bounds and pace", () => {
    const [scaled] = readYaml(
      path.join(kubernetesFolder, "components/autoscale-keda/scaled-object.yaml"),
    );
    const [hpa] = readYaml(
      path.join(kubernetesFolder, "components/autoscale-adapter/autoscaler.yaml"),
    );
    const [rules] = readYaml(
      path.join(kubernetesFolder, "components/autoscale-adapter/adapter-rules.yaml"),
    );
    const behavior = z
      .looseObject({ spec: z.looseObject({ behavior: z.unknown(), maxReplicas: z.int() }) })
      .parse(hpa).spec;
    expect(behavior.maxReplicas).toBe(maxReplicas);
    expect(scaled).toMatchObject({
      spec: { advanced: { horizontalPodAutoscalerConfig: { behavior: behavior.behavior } } },
    });
    expect(hpa).toMatchObject({
      spec: { metrics: [{ pods: { metric: { name: "blip2_queued_work_seconds" } } }] },
    });
    expect(rules).toMatchObject({ rules: [{ name: { as: "blip2_queued_work_seconds" } }] });
  });
});
