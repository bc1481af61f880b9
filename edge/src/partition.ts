// Whose a cached thing is. The partition is the first part of every key, so that neither content nor
// timing tells one tenant what another has sent (docs/decisions/0040).

/** `public`, or `t:` and a tenant. */
export type Partition = "public" | `t:${string}`;

export const publicPartition: Partition = "public";
export const tenantPartition = (tenant: string): Partition => `t:${tenant}`;

/** The partitions of one picture in one request: read in this order, written to all of them. */
export type Partitions = readonly [Partition, ...Partition[]];

/** A picture that anyone may fetch is shared with everyone who fetched it so, too; else the tenant's own. */
export const partitionsOf = (tenant: string, isPublic: boolean): Partitions =>
  isPublic ? [tenantPartition(tenant), publicPartition] : [tenantPartition(tenant)];
