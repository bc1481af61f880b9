// The playground: puts the views, the frame, the key and the sections together. It speaks to the Worker that served
// it and to nobody else.
import "./no-eval.ts";
import { askSection } from "./ask-section.ts";
import { createAsker } from "./asker.ts";
import { captionSection } from "./caption-section.ts";
import { labelSection, matchSection } from "./compare-sections.ts";
import { onGiven, type Receiver } from "./given.ts";
import { keyBox } from "./key.ts";
import type { Picture } from "./picture.ts";
import { reviewView, type ReviewView } from "./review-view.ts";
import { searchView, type SearchView } from "./search-view.ts";
import { stage } from "./stage.ts";
import { showViews } from "./views.ts";

let picture: Picture | undefined;
let find: SearchView | undefined;
let review: ReviewView | undefined;
const key = keyBox(() => {
  // What waited for the key.
  if (picture !== undefined && picture.imageId === undefined) caption.run();
  find?.keyGiven();
  review?.keyGiven();
});
const asker = createAsker(key);
const caption = captionSection(asker);
const questions = askSection(asker);
const texts = matchSection(asker);
const labels = labelSection(asker);

const look = stage((source, sample) => {
  picture = { source, imageId: undefined };
  asker.show(picture);
  questions.clear(sample?.questions ?? []);
  texts.clear(sample?.texts ?? []);
  labels.clear(sample?.labels ?? []);
  caption.run();
});
const search = searchView(key);
find = search;
const reviewing = reviewView(key);
review = reviewing;
const view = showViews((shown) => reviewing.show(shown === "review"));
/** Pictures that are reviewed are in a CMS. */
const deaf: Receiver = { take() {}, refuse() {}, over() {} };
onGiven(() => ({ look, search, review: deaf })[view()]);
