import { CodedError } from '../../../base/errors.ts';
import { writeFileAtomic } from '../../../base/files.ts';
import type { Instant } from '../../../base/time.ts';
import type { TshHome } from '../login/home.ts';
import { readIfThere } from '../login/profile.ts';

/** What is stored besides the keys that a proxy's login brought. */
export interface Learnt {
  readonly clusterName: string;
  /** When the login brought the keys, by the cluster's clock. */
  readonly learntAt: Instant;
  /** Of the last announcement that was accepted since; 0: none was. */
  readonly number: number;
  /** When the proxy was last asked for an announcement, by this machine's clock; null: never. */
  readonly askedAt: Instant | null;
}

const fileMode = 0o640;

/**
 * Undefined when nothing is stored: the login was made by an earlier release.
 * @throws CodedError `damaged` naming the file: without its number an old announcement could be replayed.
 */
export function readLearnt(home: TshHome, proxyHost: string, leaf?: string): Learnt | undefined {
  const path = home.learnt(proxyHost, leaf);
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  const learnt = parsed(text);
  if (learnt !== undefined) return learnt;
  throw new CodedError('damaged', `${path} cannot be used: remove it, and run 'tsh logout' and 'tsh login'`);
}

export function writeLearnt(home: TshHome, proxyHost: string, learnt: Learnt, leaf?: string): void {
  writeFileAtomic(home.learnt(proxyHost, leaf), `${JSON.stringify(learnt)}\n`, fileMode);
}

function parsed(text: string): Learnt | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { clusterName, learntAt, number, askedAt } = value as Record<string, unknown>;
  if (typeof clusterName !== 'string' || !isInstant(learntAt)) return undefined;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) return undefined;
  if (askedAt !== null && !isInstant(askedAt)) return undefined;
  return { clusterName, learntAt, number, askedAt };
}

/** In the form of an `Instant`: such texts compare as the moments do. */
const isInstant = (value: unknown): value is Instant =>
  typeof value === 'string' &&
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(value) &&
  !Number.isNaN(Date.parse(value));
