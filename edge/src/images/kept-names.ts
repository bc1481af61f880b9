// Names in R2 of what is kept of a picture for people to look at. Whoever puts them and whoever deletes them agree
// here. A picture is deleted by its names; the files of a namespace lie under one prefix.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { Partition } from "../partition.ts";

export const thumbnailName = (own: Partition, imageId: ImageId): string =>
  `thumbnails/${own}/${imageId}`;

/** Neither a tenant nor a namespace has a slash. */
export const originalsPrefix = (own: Partition, namespace: string): string =>
  `originals/${own}/${namespace}/`;
export const originalName = (own: Partition, namespace: string, imageId: ImageId): string =>
  `${originalsPrefix(own, namespace)}${imageId}`;
