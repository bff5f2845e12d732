import { CodedError, messageOf } from '../../src/base/errors.ts';
import { backoffMs, pause } from '../../src/base/backoff.ts';
import type { World } from '../../src/base/world.ts';

/** What was asked of the table, and how it answered. */
export interface RequestCounters {
  requests: number;
  throttled: number;
  /** Time spent waiting because of throttling. */
  throttledMs: number;
  retries: number;
  consumedReadUnits: number;
  consumedWriteUnits: number;
}

export interface RequestRules {
  /** An end that is not known may have written: then it is `ambiguous` at once. */
  readonly writing: boolean;
  readonly periodMs: number;
}

type Kind = 'throttled' | 'refused' | 'missing' | 'unknown' | 'not-sent';

const throttling = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'RequestLimitExceeded',
  'LimitExceededException',
]);
const refusals = new Set([
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'MissingAuthenticationTokenException',
  'IncompleteSignatureException',
  'CredentialsProviderError',
  'ExpiredTokenException',
  'ValidationException',
]);
const unreachable = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

const codeOf = (e: unknown): string =>
  e instanceof AggregateError ? codeOf(e.errors[0]) : ((e as { code?: string }).code ?? '');

function kindOf(e: unknown): Kind {
  const { name } = e as Error;
  if (throttling.has(name)) return 'throttled';
  if (name === 'ResourceNotFoundException') return 'missing';
  if (refusals.has(name)) return 'refused';
  return unreachable.has(codeOf(e)) ? 'not-sent' : 'unknown';
}

/** Bounds of one wait between two tries; full jitter between nothing and the bound. */
const retry = { baseMs: 25, maxMs: 1_000 };

/**
 * Runs a request until it is answered, for `periodMs` at most. Throttling wrote nothing and is waited out; the SDK's own
 * retries are off, since its three attempts give up where ours go on.
 * @throws CodedError `ambiguous` for a write whose answer was lost, `unavailable` when the time is over, `misconfigured`
 * when we are refused. The SDK's own error for anything that `pass` names.
 */
export async function request<T>(
  act: () => Promise<T>,
  rules: RequestRules & { readonly pass?: readonly string[] },
  deps: {
    readonly counters: RequestCounters;
    readonly world: Pick<World, 'randomBytes'>;
    readonly place: string;
  },
): Promise<T> {
  const { counters, world, place } = deps;
  const end = performance.now() + rules.periodMs;
  for (let attempt = 1; ; attempt++) {
    counters.requests++;
    try {
      return await act();
    } catch (e) {
      if (rules.pass?.includes((e as Error).name)) throw e;
      const kind = kindOf(e);
      if (kind === 'throttled') counters.throttled++;
      const final = finalError(e, kind, { ...rules, place, late: performance.now() >= end });
      if (final !== undefined) throw final;
      counters.retries++;
      const random = (world.randomBytes(1)[0] ?? 0) / 256;
      const wait = random * backoffMs(attempt, retry.baseMs, retry.maxMs, 1);
      if (kind === 'throttled') counters.throttledMs += wait;
      await pause(wait);
    }
  }
}

/** What ends the attempts; undefined when it is worth another one. */
function finalError(
  e: unknown,
  kind: Kind,
  { writing, place, late }: { readonly writing: boolean; readonly place: string; readonly late: boolean },
): CodedError | undefined {
  const text = textOf(e);
  if (kind === 'refused')
    return new CodedError('misconfigured', `DynamoDB refuses us (${place}): ${text}`, { cause: e });
  if (kind === 'unknown' && writing)
    return new CodedError('ambiguous', `DynamoDB gave no answer to a write (${place}): ${text}`, {
      cause: e,
    });
  if (!late) return undefined;
  const how = kind === 'throttled' ? 'throttles us' : 'does not answer';
  return new CodedError('unavailable', `DynamoDB ${how} (${place}): ${text}`, { cause: e });
}

const textOf = (e: unknown): string => messageOf(e) || codeOf(e) || (e as Error).name;
