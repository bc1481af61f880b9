// Pictures to try, drawn in the small world that the embedded model knows (gpu-node/nano/MODEL_CARD.md), with
// something to ask about each.
import balloons from "./samples/three-blue-balloons-and-a-cake.webp";
import owls from "./samples/two-owls-and-a-lion.webp";
import palm from "./samples/a-palm-tree-and-a-lion.webp";

export interface Sample {
  readonly name: string;
  /** For those who do not see it. */
  readonly alt: string;
  readonly file: Blob;
  readonly questions: readonly string[];
  readonly texts: readonly string[];
  readonly labels: readonly string[];
}

const webp = (bytes: Uint8Array<ArrayBuffer>): Blob => new Blob([bytes], { type: "image/webp" });

export const samples: readonly Sample[] = [
  {
    name: "owls",
    alt: "Drawing of two owls and a lion on pink",
    file: webp(owls),
    questions: ["how many owls are there?", "is there a cat?", "what color is the background?"],
    texts: ["two owls and a lion", "two owls and a tiger", "a cake on a red background"],
    labels: ["owl", "cat", "car", "cake"],
  },
  {
    name: "balloons",
    alt: "Drawing of three blue balloons and a cake on red",
    file: webp(balloons),
    questions: [
      "what color are the balloons?",
      "how many cakes are there?",
      "what food can you see?",
    ],
    texts: ["three blue balloons and a cake", "three green balloons", "two owls and a lion"],
    labels: ["balloon", "owl", "car", "cake"],
  },
  {
    name: "palm",
    alt: "Drawing of a palm tree and a lion on green",
    file: webp(palm),
    questions: ["what animal is this?", "what is below the lion?", "how many lions are there?"],
    texts: ["a palm tree and a lion", "a palm tree and an owl", "a lion on a blue background"],
    labels: ["lion", "owl", "palm tree", "car"],
  },
];
