// What the Worker's spans say once the collector has counted them (infra/observe/collector): requests with a valid
// key that are sampled. With TRACE_SAMPLE_RATIO below 1 rates are that part of the truth, shares and times are true.
import { dashboard } from "./dashboard.ts";

const requests = 'span_kind="SPAN_KIND_SERVER",http_route=~"$route"';
const calls = (labels: string): string =>
  `rate(blip2_edge_calls_total{${labels}}[$__rate_interval])`;
const quantiles = (labels: string): Record<string, string> =>
  Object.fromEntries(
    [0.5, 0.95, 0.99].map((q) => [
      `p${q * 100}`,
      `histogram_quantile(${q}, sum by (le) (rate(blip2_edge_duration_seconds_bucket{${labels}}[$__rate_interval])))`,
    ]),
  );

export const edgeDashboard = dashboard({
  uid: "blip2-edge",
  title: "blip2-edge: the Worker",
  says: "Requests with a valid key, as the Worker's spans tell of them. docs/edge-observability.md says what each word means; refusals of strangers are in the log alone.",
  variables: {
    route: 'blip2_edge_calls_total{span_kind="SPAN_KIND_SERVER"}, http_route',
  },
  rows: {
    Now: [
      {
        title: "Requests",
        says: "As far as they are sampled.",
        unit: "reqps",
        kind: "stat",
        queries: { requests: `sum(${calls(requests)})` },
      },
      {
        title: "Failed",
        says: "Answers from 500 on; above two in a hundred an alert fires.",
        unit: "percentunit",
        kind: "stat",
        queries: {
          failed: `sum(${calls(`${requests},http_response_status_code=~"5.."`)}) / sum(${calls(requests)})`,
        },
      },
      {
        title: "From the cache",
        says: "Of requests that looked there.",
        unit: "percentunit",
        kind: "stat",
        queries: {
          hits: `sum(${calls(`${requests},blip2_cache="hit"`)}) / sum(${calls(`${requests},blip2_cache=~"hit|miss|partial|collapsed"`)})`,
        },
      },
      {
        title: "No node",
        says: "Requests that no node could answer: none is right.",
        unit: "reqps",
        kind: "stat",
        queries: {
          none: `sum(${calls(`${requests},error_type="node_unavailable"`)}) or vector(0)`,
        },
      },
    ],
    Requests: [
      {
        title: "By route",
        says: "Ids of the route table.",
        unit: "reqps",
        stacked: true,
        queries: { "{{http_route}}": `sum by (http_route) (${calls(requests)})` },
      },
      {
        title: "Problems",
        says: "By the code that the caller was given.",
        unit: "reqps",
        queries: {
          "{{error_type}}": `sum by (error_type) (${calls(`${requests},error_type!=""`)})`,
        },
      },
      {
        title: "How long they take",
        says: "From the request to the end of its answer.",
        unit: "s",
        queries: quantiles(requests),
      },
    ],
    "Where answers come from": [
      {
        title: "Cache",
        says: "hit, miss, partial, collapsed, bypass, no-store.",
        unit: "reqps",
        stacked: true,
        queries: {
          "{{blip2_cache}}": `sum by (blip2_cache) (${calls(`${requests},blip2_cache!=""`)})`,
        },
      },
      {
        title: "Served",
        says: "cache, stale, revalidated, shared, live: stale means that no node answered.",
        unit: "reqps",
        stacked: true,
        queries: {
          "{{blip2_served}}": `sum by (blip2_served) (${calls(`${requests},blip2_served!=""`)})`,
        },
      },
      {
        title: "Models",
        says: "By name; a precision is a model of its own.",
        unit: "reqps",
        queries: {
          "{{gen_ai_request_model}}": `sum by (gen_ai_request_model) (${calls(`${requests},gen_ai_request_model!=""`)})`,
        },
      },
    ],
    Hops: [
      {
        title: "How long each hop takes, p95",
        says: "auth, body, catalog, fetch, decode, lookup, wait, quota, node, store.",
        unit: "s",
        queries: {
          "{{span_name}}":
            'histogram_quantile(0.95, sum by (le, span_name) (rate(blip2_edge_duration_seconds_bucket{span_kind=~"SPAN_KIND_(INTERNAL|CLIENT)"}[$__rate_interval])))',
        },
      },
      {
        title: "Hops that failed",
        says: "node: exchanges that a retry or a hedge may have made good. fetch: pictures' servers.",
        unit: "reqps",
        queries: {
          "{{span_name}}": `sum by (span_name) (${calls('span_kind=~"SPAN_KIND_(INTERNAL|CLIENT)",status_code="STATUS_CODE_ERROR"')})`,
        },
      },
      {
        title: "Exchanges with nodes",
        says: "By the status that the node answered with.",
        unit: "reqps",
        queries: {
          "{{http_response_status_code}}": `sum by (http_response_status_code) (${calls('span_kind="SPAN_KIND_CLIENT",span_name="node"')})`,
        },
      },
    ],
  },
});
