// What can stand in a scene: nouns, the drawings that show them, colours, and what cannot be seen on what.
// The order of `things` and of `colours` is the label order that training uses: append, never reorder.

export type Category =
  | "animal"
  | "food"
  | "vehicle"
  | "place"
  | "plant"
  | "sky"
  | "thing"
  | "shape";

export interface Thing {
  readonly noun: string;
  readonly plural: string;
  readonly category: Category;
  /** CLDR slugs of its drawings in the emoji sets; none for a drawn shape. */
  readonly slugs: readonly string[];
  /** Drawn in every colour, which a caption then names. */
  readonly recolourable: boolean;
}

/** noun, plural, slugs; "*" marks a thing that is also drawn in every colour. */
const rows: Readonly<Record<Exclude<Category, "shape">, readonly string[]>> = {
  animal: [
    "dog | dogs | dog-face dog",
    "cat | cats | cat-face cat",
    "mouse | mice | mouse-face",
    "rabbit | rabbits | rabbit-face",
    "fox | foxes | fox",
    "bear | bears | bear",
    "panda | pandas | panda",
    "koala | koalas | koala",
    "tiger | tigers | tiger-face",
    "lion | lions | lion",
    "cow | cows | cow-face cow",
    "pig | pigs | pig-face pig",
    "frog | frogs | frog",
    "monkey | monkeys | monkey-face",
    "chicken | chickens | chicken",
    "penguin | penguins | penguin",
    "owl | owls | owl",
    "horse | horses | horse-face horse",
    "unicorn | unicorns | unicorn",
    "bee | bees | honeybee",
    "butterfly | butterflies | butterfly",
    "snail | snails | snail",
    "ladybug | ladybugs | lady-beetle",
    "turtle | turtles | turtle",
    "octopus | octopuses | octopus",
    "crab | crabs | crab",
    "fish | fish | tropical-fish",
    "whale | whales | spouting-whale",
    "shark | sharks | shark",
    "elephant | elephants | elephant",
    "duck | ducks | duck",
    "spider | spiders | spider",
  ],
  food: [
    "apple | apples | red-apple",
    "pear | pears | pear",
    "tangerine | tangerines | tangerine",
    "lemon | lemons | lemon",
    "banana | bananas | banana",
    "watermelon | watermelons | watermelon",
    "strawberry | strawberries | strawberry",
    "pineapple | pineapples | pineapple",
    "cherry | cherries | cherries",
    "avocado | avocados | avocado",
    "carrot | carrots | carrot",
    "corn | ears of corn | ear-of-corn",
    "broccoli | broccoli | broccoli",
    "mushroom | mushrooms | mushroom",
    "bread | loaves of bread | bread",
    "hamburger | hamburgers | hamburger",
    "pizza | pizzas | pizza",
    "hot dog | hot dogs | hot-dog",
    "egg | eggs | egg",
    "donut | donuts | doughnut",
    "cookie | cookies | cookie",
    "cake | cakes | birthday-cake",
    "ice cream | ice creams | soft-ice-cream",
    "cup of coffee* | cups of coffee | hot-beverage",
  ],
  vehicle: [
    "car* | cars | automobile",
    "taxi | taxis | taxi",
    "bus* | buses | bus",
    "truck* | trucks | delivery-truck",
    "fire truck | fire trucks | fire-engine",
    "tractor | tractors | tractor",
    "bicycle* | bicycles | bicycle",
    "motorcycle | motorcycles | motorcycle",
    "train | trains | locomotive",
    "airplane* | airplanes | airplane",
    "helicopter | helicopters | helicopter",
    "rocket* | rockets | rocket",
    "sailboat* | sailboats | sailboat",
    "ship | ships | ship",
  ],
  place: ["house* | houses | house", "castle | castles | castle", "tent* | tents | tent"],
  plant: [
    "tree | trees | deciduous-tree",
    "pine tree | pine trees | evergreen-tree",
    "palm tree | palm trees | palm-tree",
    "cactus | cactuses | cactus",
    "sunflower | sunflowers | sunflower",
    "rose | roses | rose",
    "tulip | tulips | tulip",
  ],
  sky: [
    "sun | suns | sun",
    "moon | moons | crescent-moon",
    "cloud | clouds | cloud",
    "rainbow | rainbows | rainbow",
    "snowman | snowmen | snowman-without-snow snowman",
  ],
  thing: [
    "soccer ball | soccer balls | soccer-ball",
    "basketball | basketballs | basketball",
    "guitar* | guitars | guitar",
    "drum | drums | drum",
    "trumpet | trumpets | trumpet",
    "book* | books | blue-book",
    "pencil | pencils | pencil",
    "scissors | pairs of scissors | scissors",
    "key* | keys | key",
    "clock | clocks | alarm-clock",
    "phone* | phones | mobile-phone",
    "laptop | laptops | laptop",
    "camera | cameras | camera",
    "television | televisions | television",
    "light bulb | light bulbs | light-bulb",
    "candle | candles | candle",
    "umbrella* | umbrellas | umbrella",
    "balloon* | balloons | balloon",
    "gift* | gifts | wrapped-gift",
    "teddy bear | teddy bears | teddy-bear",
    "hat* | hats | top-hat",
    "crown* | crowns | crown",
    "glasses | pairs of glasses | glasses",
    "shirt* | shirts | t-shirt",
    "dress* | dresses | dress",
    "shoe* | shoes | running-shoe",
    "backpack* | backpacks | backpack",
    "chair* | chairs | chair",
    "bed* | beds | bed",
    "hammer | hammers | hammer",
    "bell* | bells | bell",
    "robot | robots | robot",
    "ghost | ghosts | ghost",
  ],
};

const shapeNouns = [
  "circle",
  "square",
  "triangle",
  "star",
  "heart",
  "diamond",
  "ring",
  "cross",
] as const;
export type ShapeNoun = (typeof shapeNouns)[number];

export type Rgb = readonly [red: number, green: number, blue: number];

export const colourValues = {
  red: [215, 40, 40],
  green: [45, 160, 60],
  blue: [45, 85, 215],
  yellow: [245, 215, 45],
  orange: [245, 140, 30],
  purple: [130, 55, 175],
  pink: [250, 150, 195],
  brown: [125, 75, 40],
  white: [248, 248, 248],
  black: [25, 25, 25],
  gray: [135, 135, 135],
} as const satisfies Record<string, Rgb>;

export type Colour = keyof typeof colourValues;
export const colours = Object.keys(colourValues) as readonly Colour[];

export const things: readonly Thing[] = [
  ...Object.entries(rows).flatMap(([category, lines]) =>
    lines.map((line): Thing => {
      const [noun = "", plural = "", slugs = ""] = line.split(" | ");
      return {
        noun: noun.replace("*", ""),
        plural,
        category: category as Category,
        slugs: slugs.split(" "),
        recolourable: noun.endsWith("*"),
      };
    }),
  ),
  ...shapeNouns.map((noun): Thing => ({
    noun,
    plural: noun === "cross" ? "crosses" : `${noun}s`,
    category: "shape",
    slugs: [],
    recolourable: true,
  })),
];

export const thingIndex: ReadonlyMap<string, number> = new Map(
  things.map((thing, index) => [thing.noun, index]),
);

/** Natural drawings that vanish on a background of the colour beside them. */
export const invisiblePairs: readonly (readonly [noun: string, background: Colour])[] = [
  ["banana", "yellow"],
  ["ghost", "white"],
  ["snowman", "white"],
  ["lemon", "yellow"],
  ["egg", "white"],
  ["cloud", "white"],
];

export function thingNamed(noun: string): Thing {
  const thing = things[thingIndex.get(noun) ?? -1];
  if (thing === undefined) throw new Error(`no thing is called "${noun}"`);
  return thing;
}
