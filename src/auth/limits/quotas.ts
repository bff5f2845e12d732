import { messageOf, CodedError } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import { hour, type Instant, second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import { type Allowance, type Balance, balanceAt, giveBack, takeAll } from '../../domain/allowance.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import type { OwnAudit } from '../audit/own-audit.ts';
import {
  allowanceOf,
  type Measure,
  measureTexts,
  newcomersShare,
  type QuotaSettings,
  type Whose,
} from './quota-rules.ts';

/**
 * Keeps one machine or person from filling the log or occupying the server. Nothing that is refused is lost
 * by that.
 */
export interface Quotas {
  /**
   * Takes all of it or nothing; returns a function that gives back what was not used.
   * @throws CodedError `quota` with what was used, what is allowed and when to try again.
   */
  take(whose: Whose, amounts: Amounts): () => void;
  /**
   * Takes one of the places that are held at a time; returns a function that leaves it. @throws CodedError
   * `quota`
   */
  hold(whose: Whose): () => void;
  /** Callers that reached a limit within the last hour. */
  exceeded(): readonly Exceeded[];
  close(): Promise<void>;
}

export type Amounts = Readonly<Partial<Record<Measure, number>>>;

export interface Exceeded {
  readonly who: string;
  readonly measure: Measure | 'streams';
  /** When it was last refused. */
  readonly at: Instant;
  /** How many times, since that was last reported to the audit. */
  readonly refused: number;
}

export interface QuotaParts {
  readonly settings: QuotaSettings;
  readonly world: Pick<World, 'now' | 'monotonic' | 'uuid'>;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly audit: Pick<OwnAudit, 'record'>;
  /** Of this auth server. */
  readonly hostId: string;
}

/**
 * How many balances are remembered; the one that was unused longest is forgotten first, because it has
 * recovered most.
 */
const maxBalances = 50_000;
/**
 * Operators get at most one report per limit and machine in this time, and all reports together are no more
 * frequent.
 */
const toldEveryMs = hour;
const toldOfAll = { atOnce: 30, perHour: 60 };
const maxExceeded = 1_000;
/** A held place becomes free whenever its holder leaves. */
const placeRetryMs = 5 * second;

export const openQuotas = (parts: QuotaParts): Quotas => new Kept(parts);

interface Noted extends Exceeded {
  readonly atMs: number;
  readonly toldAtMs: number;
}

class Kept implements Quotas {
  readonly #parts: QuotaParts;
  readonly #balances = new Map<string, Balance>();
  readonly #places = new Map<string, number>();
  readonly #exceeded = new Map<string, Noted>();
  readonly #telling = new Set<Promise<void>>();
  #toldOfAll: Balance | undefined;

  constructor(parts: QuotaParts) {
    this.#parts = parts;
  }

  take(whose: Whose, amounts: Amounts): () => void {
    const nowMs = this.#parts.world.monotonic();
    const wished = (Object.entries(amounts) as [Measure, number][]).map(([measure, amount]) => {
      const key = `${measure} ${whose.name}`;
      const allowance = allowanceOf(this.#parts.settings, measure, whose.factor);
      const before = this.#balances.get(key) ?? firstBalance(allowance, whose, nowMs);
      return { key, measure, allowance, amount, before };
    });
    const taking = takeAll(wished, nowMs);
    const lacking = taking.status === 'refused' ? wished[taking.lacking] : undefined;
    if (taking.status === 'refused' && lacking) {
      const { allowance, before, measure } = lacking;
      const used = Math.round(allowance.atOnce - balanceAt(allowance, before, nowMs).left);
      throw this.#refuse(whose, measure, {
        waitMs: taking.waitMs,
        said: `${used} of ${allowance.atOnce} used, ${allowance.perHour} come back in an hour`,
      });
    }
    if (taking.status === 'taken')
      for (const [i, { key }] of wished.entries()) {
        const balance = taking.balances[i];
        if (balance) this.#keep(key, balance);
      }
    return () => {
      for (const { key, allowance, amount } of wished) {
        const balance = this.#balances.get(key);
        if (balance) this.#keep(key, giveBack(allowance, balance, amount));
      }
    };
  }

  hold(whose: Whose): () => void {
    const { name } = whose;
    const held = this.#places.get(name) ?? 0;
    const { streams } = this.#parts.settings;
    if (held >= streams)
      throw this.#refuse(whose, 'streams', { waitMs: placeRetryMs, said: `${held} of ${streams} are open` });
    this.#places.set(name, held + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const now = (this.#places.get(name) ?? 1) - 1;
      if (now === 0) this.#places.delete(name);
      else this.#places.set(name, now);
    };
  }

  exceeded(): readonly Exceeded[] {
    const now = this.#parts.world.monotonic();
    return Array.from(this.#exceeded.values())
      .filter(({ atMs }) => now - atMs < hour)
      .map(({ who, measure, at, refused }) => ({ who, measure, at, refused }));
  }

  async close(): Promise<void> {
    await Promise.all(this.#telling);
  }

  #keep(key: string, balance: Balance): void {
    keepNewest(this.#balances, key, balance, maxBalances);
  }

  #refuse(
    { name }: Whose,
    measure: Measure | 'streams',
    { waitMs, said }: { readonly waitMs: number; readonly said: string },
  ): CodedError {
    const text = `the quota of ${measureTexts[measure]} is used up for ${name}: ${said}`;
    this.#note(name, measure, text);
    return new CodedError(
      'quota',
      `${text}; try again in ${Math.ceil(waitMs / second)} s, or let the operator raise quotas.${measure} of the auth servers`,
      { retryAfterMs: waitMs },
    );
  }

  #note(who: string, measure: Measure | 'streams', text: string): void {
    const { world, metrics } = this.#parts;
    metrics.add('auth_quota_refused_total', 1, { quota: measure });
    const key = `${measure} ${who}`;
    const atMs = world.monotonic();
    const before = this.#exceeded.get(key);
    const refused = (before?.refused ?? 0) + 1;
    const noted = { who, measure, at: world.now(), refused, atMs, toldAtMs: before?.toldAtMs ?? -Infinity };
    const due = atMs - noted.toldAtMs >= toldEveryMs && this.#mayTell(atMs);
    keepNewest(this.#exceeded, key, due ? { ...noted, toldAtMs: atMs, refused: 0 } : noted, maxExceeded);
    if (due) this.#tell(noted, text);
  }

  #mayTell(nowMs: number): boolean {
    const taking = takeAll([{ allowance: toldOfAll, before: this.#toldOfAll, amount: 1 }], nowMs);
    if (taking.status === 'taken') this.#toldOfAll = taking.balances[0];
    return taking.status === 'taken';
  }

  #tell({ who, measure, refused }: Noted, text: string): void {
    const { audit, sink, world, hostId } = this.#parts;
    sink.warn(`${text}; reported once an hour`, { refused });
    const told = audit
      .record(catalogue.quotaExceeded({ about: who, quota: measure, refused, message: text }), {
        at: world.now(),
        actor: `auth:${hostId}`,
        requestId: world.uuid(),
      })
      .then(
        () => undefined,
        (e: unknown) => {
          sink.warn('the audit event of a used-up quota could not be stored', {
            who,
            measure,
            reason: messageOf(e),
          });
        },
      );
    this.#telling.add(told);
    void told.then(() => this.#telling.delete(told));
  }
}

const firstBalance = ({ atOnce }: Allowance, { ageMs }: Whose, nowMs: number): Balance | undefined =>
  ageMs === undefined ? undefined : { left: atOnce * newcomersShare, atMs: nowMs - Math.max(0, ageMs) };

function keepNewest<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    break;
  }
}
