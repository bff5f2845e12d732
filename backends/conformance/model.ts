/*
 * A model of the store and its users, as a few pure steps: what each call promises (`src/log/slot-driver.ts`)
 * and what may happen to a request on its way. `model.test.ts` searches it by random interleavings, with each
 * rule taken out in turn; `model-drivers.ts` lets the same steps drive the real stores.
 */

/** A batch is its name, and contains the one it follows, as the hash chain does. */
export interface ModelBatch {
  readonly name: string;
  readonly after: string;
}

/** The beginning of the log. */
export const origin = 'origin';

/** The rules that the design depends on. Each can be removed, to see that something is lost then. */
export interface Rules {
  /** The condition of an append: the batch that it follows, or only that its slot is absent. */
  readonly fence: 'predecessor' | 'absence';
  /** How a writer interprets a refusal: as proof that nothing was written, or as a reason to read. */
  readonly refusal: 'read' | 'believed';
  /**
   * The condition of a value's write: the value that was read, and that the key was never destroyed; or none.
   */
  readonly values: 'conditional' | 'blind';
}

export const soundRules: Rules = { fence: 'predecessor', refusal: 'read', values: 'conditional' };

/** What the store holds. Never changed in place. */
export interface ModelStore {
  readonly slots: ReadonlyMap<number, ModelBatch>;
  readonly floor: number;
  /** `null`: a tombstone. */
  readonly values: ReadonlyMap<string, string | null>;
}

export const emptyStore: ModelStore = { slots: new Map(), floor: 1, values: new Map() };

export const headOf = ({ slots, floor }: ModelStore): number => Math.max(floor - 1, ...slots.keys());

/** A request to the store. */
export type StoreRequest =
  | {
      readonly kind: 'append';
      readonly after: { readonly slot: number; readonly name: string };
      readonly batch: string;
    }
  | { readonly kind: 'trim'; readonly before: number }
  | { readonly kind: 'create'; readonly key: string; readonly value: string }
  | { readonly kind: 'replace'; readonly key: string; readonly from: string; readonly to: string }
  | { readonly kind: 'destroy'; readonly key: string };

export type StoreAnswer =
  | 'committed'
  | 'taken'
  | 'below floor'
  | 'predecessor changed'
  | 'created'
  | 'exists'
  | 'destroyed'
  | 'replaced'
  | 'changed'
  | 'done';

interface Applied {
  readonly store: ModelStore;
  readonly answer: StoreAnswer;
}
type Of<K extends StoreRequest['kind']> = Extract<StoreRequest, { readonly kind: K }>;

/** One request, carried out at once: the store is linearizable. */
export function apply(store: ModelStore, request: StoreRequest, rules: Rules = soundRules): Applied {
  switch (request.kind) {
    case 'append':
      return append(store, request, rules);
    case 'trim':
      return trim(store, request.before);
    case 'create':
      return create(store, request, rules);
    case 'replace':
      return replace(store, request, rules);
    case 'destroy':
      return {
        store: withValue(store, request.key, rules.values === 'conditional' ? null : undefined),
        answer: 'done',
      };
  }
}

function trim(store: ModelStore, before: number): Applied {
  const floor = Math.max(store.floor, Math.min(before, headOf(store) + 1));
  const slots = new Map([...store.slots].filter(([slot]) => slot >= floor));
  return { store: { ...store, floor, slots }, answer: 'done' };
}

function create(store: ModelStore, { key, value }: Of<'create'>, { values }: Rules): Applied {
  const held = store.values.get(key);
  if (values === 'conditional' && held === null) return { store, answer: 'destroyed' };
  if (values === 'conditional' && held !== undefined)
    return { store, answer: held === value ? 'created' : 'exists' };
  return { store: withValue(store, key, value), answer: 'created' };
}

function replace(store: ModelStore, { key, from, to }: Of<'replace'>, { values }: Rules): Applied {
  const held = store.values.get(key);
  if (values === 'conditional' && held === to) return { store, answer: 'replaced' };
  if (values === 'conditional' && held !== from) return { store, answer: 'changed' };
  return { store: withValue(store, key, to), answer: 'replaced' };
}

function append(store: ModelStore, { after, batch }: Of<'append'>, { fence }: Rules): Applied {
  const slot = after.slot + 1;
  if (fence === 'predecessor') {
    if (slot < store.floor) return { store, answer: 'below floor' };
    const holds = after.slot < store.floor || store.slots.get(after.slot)?.name === after.name;
    if (!holds || (after.slot === 0 && after.name !== origin))
      return { store, answer: 'predecessor changed' };
  }
  if (store.slots.has(slot)) return { store, answer: 'taken' };
  const slots = new Map(store.slots).set(slot, { name: batch, after: after.name });
  return { store: { ...store, slots }, answer: 'committed' };
}

function withValue(store: ModelStore, key: string, value: string | null | undefined): ModelStore {
  const values = new Map(store.values);
  if (value === undefined) values.delete(key);
  else values.set(key, value);
  return { ...store, values };
}
