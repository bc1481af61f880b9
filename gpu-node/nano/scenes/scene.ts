// What a scene is: plain data, complete enough to draw it, to caption it and to question it.
// Lengths are in units of the picture's side, positions from its top left corner.

import type { Colour } from "./vocabulary.ts";

export type Texture = "solid" | "gradient" | "noise" | "grain";

export interface SceneObject {
  readonly noun: string;
  /** Null for a drawing in its own colours. */
  readonly colour: Colour | null;
  readonly style: string;
  readonly slug: string;
  /** Centre. */
  readonly x: number;
  readonly y: number;
  /** Side of the drawing's box before it is turned. */
  readonly size: number;
  readonly angleDegrees: number;
  readonly mirrored: boolean;
}

/** All objects of one noun; a scene names each noun once. */
export interface SceneGroup {
  readonly noun: string;
  readonly colour: Colour | null;
  readonly objects: readonly SceneObject[];
}

export interface Scene {
  readonly background: {
    readonly colour: Colour;
    readonly texture: Texture;
    /** Of the texture's own sequence of chance. */
    readonly seed: number;
  };
  /** From left to right, by the mean of their centres. */
  readonly groups: readonly SceneGroup[];
}

export const objectsOf = (scene: Scene): readonly SceneObject[] =>
  scene.groups.flatMap((group) => group.objects);
