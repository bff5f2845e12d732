import type { Certificate } from '../../../pki/ssh-certificate.ts';
import { formatGoDuration } from '../../../base/go-duration.ts';
import { printable } from '../../../base/printable.ts';

/** One login as `tsh status` shows it. */
export interface ProfileStatus {
  readonly active: boolean;
  /** `https://host:3080` */
  readonly url: string;
  readonly username: string;
  readonly cluster: string;
  readonly roles: readonly string[];
  /** Ids of the access requests that add to its roles. */
  readonly requests?: readonly string[];
  readonly logins: readonly string[];
  readonly traits: Readonly<Record<string, readonly string[]>>;
  readonly validUntilMs: number;
  readonly extensions: readonly string[];
}

/** The standard extensions, without those that carry the cluster's own data. */
export const extensionsOf = (certificate: Pick<Certificate, 'extensions'>): readonly string[] =>
  [...certificate.extensions.keys()].filter((name) => !name.startsWith('teleport-')).sort();

const minuteMs = 60_000;

/** The lines for one login, and an empty one. `debug` adds the traits. Times are UTC. */
export function formatStatus(status: ProfileStatus, nowMs: number, debug: boolean): string {
  const rows: readonly (readonly [string, string])[] = [
    ['Profile URL:', status.url],
    ['Logged in as:', status.username],
    ['Cluster:', status.cluster],
    ['Roles:', status.roles.join(', ')],
    ...((status.requests ?? []).length === 0
      ? []
      : ([['Requests:', status.requests?.join(', ') ?? '']] as const)),
    ...(debug ? ([['Traits:', traitsText(status.traits)]] as const) : []),
    ['Logins:', status.logins.join(', ')],
    ['Valid until:', validity(status.validUntilMs, nowMs)],
    ['Extensions:', status.extensions.join(', ')],
  ];
  const line = ([name, value]: readonly [string, string], i: number): string =>
    `${i === 0 && status.active ? '> ' : '  '}${name.padEnd(14)}${printable(value)}\n`;
  return `${rows.map(line).join('')}\n`;
}

const traitsText = (traits: ProfileStatus['traits']): string =>
  Object.entries(traits)
    .map(([name, values]) => `${name}: [${values.join(' ')}]`)
    .join(', ');

function validity(validUntilMs: number, nowMs: number): string {
  if (validUntilMs === Number.POSITIVE_INFINITY) return 'forever';
  const moment = `${new Date(validUntilMs).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
  if (validUntilMs <= nowMs) return `${moment} [EXPIRED]`;
  const left = Math.round((validUntilMs - nowMs) / minuteMs) * minuteMs;
  return `${moment} [valid for ${formatGoDuration(left)}]`;
}
