import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { encodeBatch } from '../../src/log/batch.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Place, SlotDriver } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { uuidV7 } from '../../src/log/uuid-v7.ts';
import {
  apply,
  emptyStore,
  headOf,
  type ModelStore,
  origin,
  type StoreAnswer,
  type StoreRequest,
} from './model.ts';
import { times, type Trial } from './trial.ts';

type Step =
  | { readonly kind: 'append'; readonly back: number; readonly strange: boolean }
  | { readonly kind: 'trim'; readonly back: number }
  | { readonly kind: 'create' | 'replace' | 'destroy'; readonly key: number; readonly value: number }
  | { readonly kind: 'save' }
  | { readonly kind: 'restore' };

const small = fc.nat({ max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      back: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: small }),
      strange: fc.oneof(
        { weight: 9, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const), back: small }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('create' as const, 'replace' as const, 'destroy' as const),
      key: small,
      value: small,
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'save' as const }, { kind: 'restore' as const }) },
);

/** One real store beside the model of it. */
class Pair {
  readonly #trial: Trial;
  readonly #handles: readonly SlotDriver[];
  #model: ModelStore = emptyStore;
  #saved: { readonly model: ModelStore; readonly putBack: () => Promise<void> } | undefined;
  /** The bytes of each batch by its name in the model. */
  readonly #bytes = new Map<string, Uint8Array>();
  #turn = 0;

  constructor(trial: Trial, handles: readonly SlotDriver[]) {
    this.#trial = trial;
    this.#handles = handles;
  }

  async take(one: Step): Promise<void> {
    if (one.kind === 'save') {
      this.#saved = { model: this.#model, putBack: await this.#trial.store.save() };
      return;
    }
    if (one.kind === 'restore') {
      if (this.#saved === undefined) return;
      await this.#saved.putBack();
      this.#model = this.#saved.model;
      return;
    }
    const request = this.#requestOf(one);
    const slotIsHeld = request.kind === 'append' && this.#model.slots.has(request.after.slot + 1);
    const expected = apply(this.#model, request);
    this.#model = expected.store;
    const answer = await this.#ask(request);
    // Which of two reasons a store names is its own choice.
    const allowed: StoreAnswer[] =
      expected.answer === 'predecessor changed' && slotIsHeld
        ? [expected.answer, 'taken']
        : [expected.answer];
    expect(allowed, JSON.stringify(request)).toContain(answer);
  }

  /** The store holds the same as the model, seen through every handle. */
  async compare(): Promise<void> {
    const { floor, slots, values } = this.#model;
    const wanted = [...slots]
      .sort(([a], [b]) => a - b)
      .map(([slot, { name }]) => [slot, hex(this.#bytesOf(name))]);
    for (const driver of this.#handles) {
      expect(await driver.bounds('presence')).toEqual({ floor, head: headOf(this.#model) });
      const stored = await collect(driver.read('presence', 1));
      expect(stored.map(({ slot, batch }) => [slot, hex(batch)])).toEqual(wanted);
      for (const [key, value] of values) {
        const held = await driver.vault.get(key);
        expect(held === undefined ? null : Buffer.from(held).toString()).toBe(value);
      }
    }
  }

  #requestOf(one: Exclude<Step, { kind: 'save' | 'restore' }>): StoreRequest {
    if (one.kind === 'trim') return { kind: 'trim', before: Math.max(1, headOf(this.#model) - one.back) };
    if (one.kind === 'append') {
      const slot = Math.max(0, headOf(this.#model) - one.back);
      const held = slot === 0 ? origin : (this.#model.slots.get(slot)?.name ?? 'given up');
      return {
        kind: 'append',
        after: { slot, name: one.strange ? 'strange' : held },
        batch: `batch ${this.#bytes.size}`,
      };
    }
    const key = `k/${one.key}`;
    if (one.kind === 'create') return { kind: 'create', key, value: `value ${one.value}` };
    if (one.kind === 'destroy') return { kind: 'destroy', key };
    return { kind: 'replace', key, from: this.#model.values.get(key) ?? 'nothing', to: `value ${one.value}` };
  }

  async #ask(request: StoreRequest): Promise<StoreAnswer> {
    const driver = this.#handles[this.#turn++ % this.#handles.length];
    if (driver === undefined) throw new Error('no handle');
    switch (request.kind) {
      case 'append': {
        const after = this.#placeOf(request.after);
        const batch = batchAfter(after);
        this.#bytes.set(request.batch, batch);
        return (await driver.append('presence', after, batch)).status;
      }
      case 'trim':
        await driver.trim('presence', request.before);
        return 'done';
      case 'create':
        return driver.vault.create(request.key, Buffer.from(request.value));
      case 'replace':
        return driver.vault.replace(request.key, Buffer.from(request.from), Buffer.from(request.to));
      case 'destroy':
        await driver.vault.destroy(request.key);
        return 'done';
    }
  }

  #placeOf({ slot, name }: { readonly slot: number; readonly name: string }): Place {
    if (name === origin) return { slot, hash: noHash };
    const known = this.#bytes.get(name);
    return { slot, hash: known === undefined ? Buffer.alloc(32, 7) : ownHash(known) };
  }

  #bytesOf(name: string): Uint8Array {
    const found = this.#bytes.get(name);
    if (found === undefined) throw new Error(`${name} was never sent`);
    return found;
  }
}

const hex = (batch: Uint8Array): string => ownHash(batch).toString('hex');

function batchAfter({ slot, hash }: Place): Buffer {
  const event = {
    id: uuidV7(realWorld),
    stream: 'a-1',
    type: 'trial.happened',
    actor: 'user:trial',
    requestId: 'r1',
    data: {},
    revision: slot + 1,
    at: '2026-01-01T00:00:00.000Z',
  };
  const id = uuidV7(realWorld);
  const header = {
    partition: 'presence',
    slot: slot + 1,
    firstPosition: slot + 1,
    previous: Buffer.from(hash),
  } as const;
  return encodeBatch({ ...header, id, writer: 'trial' }, [JSON.stringify(event)]);
}

export function describeModel(trial: () => Trial): void {
  describe('the driver: the steps of the model', () => {
    it('have the same answers, and leave the same behind', async () => {
      const steps = fc.sample(
        fc.array(step, { minLength: 40 * times(1), maxLength: 60 * times(1), size: 'max' }),
        {
          numRuns: 1,
          seed: Number(process.env['LOG_TRIAL_SEED'] ?? 20261201),
        },
      );
      const pair = new Pair(trial(), [await trial().driver(), await trial().driver()]);
      for (const [n, one] of (steps[0] ?? []).entries()) {
        await pair.take(one);
        if (n % 10 === 0) await pair.compare();
      }
      await pair.compare();
    });
  });
}
