// The playground: puts the frame, the key and the sections together. It speaks to the Worker that served it and
// to nobody else.
import "./no-eval.ts";
import { askSection } from "./ask-section.ts";
import { createAsker } from "./asker.ts";
import { captionSection } from "./caption-section.ts";
import { labelSection, matchSection } from "./compare-sections.ts";
import { keyBox } from "./key.ts";
import type { Picture } from "./picture.ts";
import { stage } from "./stage.ts";

let picture: Picture | undefined;
const key = keyBox(() => {
  // A picture that waited for the key.
  if (picture !== undefined && picture.imageId === undefined) caption.run();
});
const asker = createAsker(key);
const caption = captionSection(asker);
const questions = askSection(asker);
const texts = matchSection(asker);
const labels = labelSection(asker);

stage((source, sample) => {
  picture = { source, imageId: undefined };
  asker.show(picture);
  questions.clear(sample?.questions ?? []);
  texts.clear(sample?.texts ?? []);
  labels.clear(sample?.labels ?? []);
  caption.run();
});
