import { expect, test } from "vitest";
import { fakeRetrieval } from "../../../test/support/fake-node.ts";
import { mergeCatalogs } from "./merge-catalogs.ts";

const calibration = { pictures: 9, itc: { slope: 10, intercept: -5, min_score: 0.5 } };
const plain = { weight: 1, models: [fakeRetrieval] };
const calibrated = { weight: 1, models: [{ ...fakeRetrieval, calibration }] };
const newer = {
  weight: 1,
  models: [{ ...fakeRetrieval, model_revision: "aaaaaaaaaaaaaaaa", calibration }],
};

test("a revision has the calibration that any of its nodes has, and never another revision's", () => {
  for (const nodes of [
    [plain, calibrated],
    [calibrated, plain],
  ]) {
    expect(mergeCatalogs(nodes, undefined).models).toEqual([{ ...fakeRetrieval, calibration }]);
  }
  expect(mergeCatalogs([plain, plain, newer], undefined).models).toEqual([fakeRetrieval]);
});
