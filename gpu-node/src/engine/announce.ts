// What the catalogue says of a model.
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { GenerationModel } from "../runtime/generation-model.ts";
import type { RetrievalModel } from "../runtime/retrieval-model.ts";

type Announced =
  | Pick<GenerationModel, "kind" | "manifest">
  | Pick<RetrievalModel, "kind" | "manifest" | "calibration">;

export function announce(model: Announced): CatalogModel {
  const { manifest } = model;
  const common = {
    model: manifest.name,
    model_revision: manifest.model_revision,
    family: manifest.family,
    image_size: manifest.image.size,
    precision: manifest.precision.name,
  };
  return model.kind === "retrieval"
    ? {
        ...common,
        abilities: ["match", "embed"],
        ...(model.calibration === undefined ? {} : { calibration: model.calibration }),
      }
    : {
        ...common,
        abilities: ["caption", "vqa"],
        question_template: model.manifest.question_template,
      };
}
