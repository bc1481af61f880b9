// Days and months of quotas, in UTC. A day is written 2030-01-31, a month 2030-01.

const dayMs = 86_400_000;

export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
export const monthOf = (day: string): string => day.slice(0, 7);

/** The first moment of the next day and of the next month. */
export const endOfDay = (at: number): number => (Math.floor(at / dayMs) + 1) * dayMs;
export function endOfMonth(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

export function secondsOfMonth(at: number): number {
  const date = new Date(at);
  return (endOfMonth(at) - Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)) / 1000;
}

/** So many days before. */
export const daysBefore = (at: number, days: number): string => dayOf(at - days * dayMs);
