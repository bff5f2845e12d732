import {
  apply,
  headOf,
  type ModelBatch,
  type ModelStore,
  emptyStore,
  origin,
  type Rules,
  type StoreAnswer,
  type StoreRequest,
} from './model.ts';

/*
 * Writers on a modelled store, over a network that loses, delays and repeats messages: how the log uses the
 * store's promises. A step is one event; every choice is a number, so that a run is a list of numbers.
 */

interface Writer {
  /** The newest batch it has folded. */
  readonly at: { readonly slot: number; readonly name: string };
  /** It found that the store no longer holds that batch, and does nothing more. */
  readonly stopped: boolean;
  /** The request it sent without a reply yet, and the secret that goes with the batch. */
  readonly waiting: { readonly slot: number; readonly batch: string; readonly secret: string } | undefined;
}

interface Travelling {
  readonly request: StoreRequest;
  readonly writer: number;
}

export interface World {
  readonly store: ModelStore;
  readonly saved: ModelStore | undefined;
  readonly writers: readonly Writer[];
  /** On the way to the store: any of them may arrive next, late, more than once, or never. */
  readonly travelling: readonly Travelling[];
  readonly next: number;
  /** Batches whose writers received confirmation, with the number of restores at that time. */
  readonly acknowledged: ReadonlyMap<string, { readonly slot: number; readonly restores: number }>;
  /**
   * With the number of restores at that time: a store that goes back may receive an older request, which
   * cannot be detected.
   */
  readonly refused: ReadonlyMap<string, number>;
  /** Secrets that were destroyed, and those destroyed since a restore brought them back. */
  readonly destroyed: ReadonlyMap<string, number>;
  /** The newest form of a value that was confirmed to a writer: every later one begins with it. */
  readonly rewrapped: ReadonlyMap<string, { readonly value: string; readonly restores: number }>;
  readonly restores: number;
  /** What was found to be wrong while it happened. */
  readonly fault: string | undefined;
}

export const newWorld = (writers: number): World => ({
  store: emptyStore,
  saved: undefined,
  writers: Array.from({ length: writers }, () => ({
    at: { slot: 0, name: origin },
    stopped: false,
    waiting: undefined,
  })),
  travelling: [],
  next: 1,
  acknowledged: new Map(),
  refused: new Map(),
  destroyed: new Map(),
  rewrapped: new Map(),
  restores: 0,
  fault: undefined,
});

export const steps = [
  'send',
  'deliver',
  'repeat',
  'deliver and lose the answer',
  'deliver and refuse',
  'lose',
  'look',
  'trim',
  'save',
  'restore',
  'destroy',
  'rewrap',
  'crash',
] as const;
export type Step = readonly [step: (typeof steps)[number], a: number, b: number];

type Happening = (world: World, a: number, b: number, rules: Rules) => World;

const happenings: Readonly<Record<Step[0], Happening>> = {
  send: (world, who) => send(world, who),
  deliver: (world, _a, b, rules) => deliver(world, b, 'answered', rules),
  repeat: (world, _a, b, rules) => deliver(world, b, 'kept', rules),
  'deliver and lose the answer': (world, _a, b, rules) => deliver(world, b, 'lost', rules),
  'deliver and refuse': (world, _a, b, rules) => deliver(world, b, 'refused', rules),
  lose: (world, _a, b) => ({ ...world, travelling: without(world.travelling, b) }),
  look: (world, who, _b, rules) => look(world, who, rules),
  trim: (world, _a, b, rules) => {
    const before = Math.max(1, headOf(world.store) - (b % 3));
    return { ...world, store: apply(world.store, { kind: 'trim', before }, rules).store };
  },
  save: (world) => ({ ...world, saved: world.store }),
  restore: (world) =>
    world.saved === undefined ? world : { ...world, store: world.saved, restores: world.restores + 1 },
  destroy: (world, _a, b, rules) => destroy(world, b, rules),
  rewrap: (world, who, b) => rewrap(world, b, who),
  crash: (world, who) => withWriter(world, who, { at: restartAt(world), stopped: false, waiting: undefined }),
};

/** The next event. A step that cannot happen now changes nothing. */
export const happen = (world: World, [step, a, b]: Step, rules: Rules): World =>
  happenings[step](world, a % world.writers.length, b, rules);

/** A process that starts folds what the store holds. */
function restartAt({ store }: World): Writer['at'] {
  const head = headOf(store);
  const batch = store.slots.get(head);
  return batch === undefined ? { slot: head, name: origin } : { slot: head, name: batch.name };
}

function send(world: World, who: number): World {
  const writer = writerOf(world, who);
  if (writer.stopped || writer.waiting) return world;
  const batch = `batch ${world.next}`;
  const secret = `secret ${world.next}`;
  const requests: StoreRequest[] = [
    { kind: 'create', key: secret, value: 'wrapped' },
    { kind: 'append', after: writer.at, batch },
  ];
  // The data key is durable before its batch leaves.
  const [create, append] = requests;
  if (create === undefined || append === undefined) return world;
  const stored = apply(world.store, create).store;
  const travelling = [...world.travelling, { request: append, writer: who }];
  return withWriter({ ...world, store: stored, travelling, next: world.next + 1 }, who, {
    ...writer,
    waiting: { slot: writer.at.slot + 1, batch, secret },
  });
}

function deliver(
  world: World,
  choice: number,
  how: 'answered' | 'kept' | 'lost' | 'refused',
  rules: Rules,
): World {
  const index = choice % Math.max(1, world.travelling.length);
  const one = world.travelling[index];
  if (one === undefined) return world;
  const travelling = how === 'kept' ? world.travelling : without(world.travelling, index);
  const { store, answer } = apply(world.store, one.request, rules);
  const after: World = { ...world, ...faultOf(world, one.request, answer), store, travelling };
  const writer = writerOf(after, one.writer);
  const { waiting } = writer;
  if (one.request.kind !== 'append' || how === 'kept' || how === 'lost') return after;
  if (waiting?.batch !== one.request.batch) return after;
  // The store replies that it is full, although it has carried out the write, as etcd has been seen to do.
  if (how === 'refused')
    return rules.refusal === 'read' ? look(after, one.writer, rules) : refuse(after, one.writer, rules);
  if (answer === 'committed') return acknowledge(after, one.writer);
  return look(after, one.writer, rules);
}

/** What is wrong with a reply at once, or what to remember about it. */
function faultOf(world: World, request: StoreRequest, answer: StoreAnswer): Partial<World> {
  if (request.kind === 'append' && answer === 'committed' && request.after.slot + 1 < world.store.floor)
    return { fault: `${request.batch} was taken below the floor` };
  if (request.kind !== 'replace' || answer !== 'replaced') return {};
  const known = world.rewrapped.get(request.key);
  if (known?.restores === world.restores && !request.to.startsWith(known.value))
    return { fault: `${request.key} fell back from ${known.value} to ${request.to}` };
  return {
    rewrapped: new Map(world.rewrapped).set(request.key, { value: request.to, restores: world.restores }),
  };
}

function acknowledge(world: World, who: number): World {
  const writer = writerOf(world, who);
  if (writer.waiting === undefined) return world;
  const { slot, batch } = writer.waiting;
  const acknowledged = new Map(world.acknowledged).set(batch, { slot, restores: world.restores });
  return withWriter({ ...world, acknowledged }, who, {
    ...writer,
    at: { slot, name: batch },
    waiting: undefined,
  });
}

/** The append has failed for good: the caller gets that error, and its secret is destroyed. */
function refuse(world: World, who: number, rules: Rules): World {
  const writer = writerOf(world, who);
  if (writer.waiting === undefined) return world;
  const { batch, secret } = writer.waiting;
  const { store } = apply(world.store, { kind: 'destroy', key: secret }, rules);
  return withWriter(
    {
      ...world,
      store,
      refused: new Map(world.refused).set(batch, world.restores),
      destroyed: new Map(world.destroyed).set(secret, world.restores),
    },
    who,
    { ...writer, waiting: undefined },
  );
}

/** Reads on from what was folded, and settles the waiting request by the content of its slot. */
function look(world: World, who: number, rules: Rules): World {
  const writer = writerOf(world, who);
  if (writer.stopped) return world;
  const { store } = world;
  const known = store.slots.get(writer.at.slot);
  const isTrimmed = writer.at.slot < store.floor;
  if (rules.fence === 'predecessor' && !isTrimmed && known?.name !== writer.at.name)
    return withWriter(world, who, { ...writer, stopped: true });
  const { waiting } = writer;
  const head = headOf(store);
  if (waiting !== undefined && head >= waiting.slot) {
    const found = store.slots.get(waiting.slot);
    if (found?.name === waiting.batch) return acknowledge(world, who);
    // Slots below the floor are not known any more: the caller gets exactly that error.
    if (found === undefined)
      return withWriter(world, who, { ...writer, at: restartAt(world), waiting: undefined });
    const refused = refuse(world, who, rules);
    return withWriter(refused, who, { ...writerOf(refused, who), at: restartAt(refused) });
  }
  return waiting === undefined ? withWriter(world, who, { ...writer, at: restartAt(world) }) : world;
}

function destroy(world: World, choice: number, rules: Rules): World {
  const keys = [...world.store.values].flatMap(([key, value]) => (value === null ? [] : [key]));
  const key = keys[choice % Math.max(1, keys.length)];
  // Others only destroy secrets that belong to a settled batch.
  if (key === undefined || world.writers.some(({ waiting }) => waiting?.secret === key)) return world;
  const { store } = apply(world.store, { kind: 'destroy', key }, rules);
  return { ...world, store, destroyed: new Map(world.destroyed).set(key, world.restores) };
}

/** Sends a request to wrap a data key again, based on what was just read. */
function rewrap(world: World, choice: number, who: number): World {
  const held = [...world.store.values].flatMap(([key, value]) =>
    value === null ? [] : [[key, value] as const],
  );
  const [key, from] = held[choice % Math.max(1, held.length)] ?? [];
  if (key === undefined || from === undefined) return world;
  const request: StoreRequest = { kind: 'replace', key, from, to: `${from}+${world.next}` };
  return { ...world, next: world.next + 1, travelling: [...world.travelling, { request, writer: who }] };
}

const without = <T>(list: readonly T[], index: number): T[] =>
  list.filter((_, i) => i !== index % Math.max(1, list.length));

function writerOf({ writers }: World, who: number): Writer {
  const writer = writers[who];
  if (writer === undefined) throw new Error('no such writer');
  return writer;
}

const withWriter = (world: World, who: number, writer: Writer): World => ({
  ...world,
  writers: world.writers.map((one, i) => (i === who ? writer : one)),
});

/** The promises. Returns which one is broken, and how. */
export const broken = (world: World): string | undefined =>
  world.fault ?? lostBatch(world) ?? brokenChain(world.store) ?? brokenSecret(world);

function lostBatch({ store, acknowledged, refused, restores }: World): string | undefined {
  for (const [batch, { slot, restores: then }] of acknowledged)
    if (then === restores && slot >= store.floor && store.slots.get(slot)?.name !== batch)
      return `${batch} was acknowledged in slot ${slot}, which holds ${store.slots.get(slot)?.name ?? 'nothing'}`;
  for (const { name } of store.slots.values())
    if (refused.get(name) === restores) return `${name} was refused and is on the log`;
  return undefined;
}

function brokenSecret({ store, destroyed, rewrapped, restores }: World): string | undefined {
  for (const [key, value] of store.values) {
    if (value === null) continue;
    if (destroyed.get(key) === restores) return `${key} was destroyed and is back`;
    const known = rewrapped.get(key);
    if (known?.restores === restores && !value.startsWith(known.value))
      return `${key} fell back from ${known.value} to ${value}`;
  }
  return undefined;
}

/** Every slot from the floor to the newest is there, and follows the one before it. */
function brokenChain(store: ModelStore): string | undefined {
  let before: ModelBatch | undefined;
  for (let slot = store.floor; slot <= headOf(store); slot++) {
    const batch = store.slots.get(slot);
    if (batch === undefined) return `slot ${slot} is missing`;
    if (before !== undefined && batch.after !== before.name)
      return `slot ${slot} does not follow slot ${slot - 1}`;
    if (slot === 1 && batch.after !== origin) return 'slot 1 does not begin the log';
    before = batch;
  }
  return undefined;
}
