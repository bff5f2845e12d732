import { z } from 'zod';
import { unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import { writerReads } from './writer-reads.ts';

/**
 * Settings that must be the same on all auth servers, by their name in the file: `auth_service.…`. Never a
 * secret.
 */
const setting = z.tuple([z.string().regex(/^[a-z][a-z0-9_.]*$/), z.string()]);
/** A setting that does not match this form is one that this release does not have. */
const settings = z
  .record(z.string(), z.unknown())
  .transform(
    (all): Settings =>
      Object.fromEntries(Object.entries(all).filter((one) => setting.safeParse(one).success)) as Settings,
  );
export type Settings = Record<string, string>;

export const configurationFact = z.discriminatedUnion('type', [
  /** What the file of one auth server declares. Appended only when that has changed. */
  z.object({
    type: z.literal('configuration.declared'),
    data: z.object({ hostId: z.string(), nodename: z.string(), settings }),
  }),
  /** The values that apply in the cluster from now on. Keys that are not named keep their values. */
  z.object({ type: z.literal('configuration.adopted'), data: z.object({ settings }) }),
]);
export type ConfigurationFact = z.infer<typeof configurationFact>;

export interface DeclareConfiguration {
  readonly type: 'declare-configuration';
  readonly hostId: string;
  readonly nodename: string;
  readonly settings: Settings;
  /** Host ids of the auth servers that are alive now; the declaring one need not be among them. */
  readonly alive: readonly string[];
}

export interface Declaration {
  readonly nodename: string;
  readonly settings: Settings;
}

export interface ConfigurationState {
  /** The values that apply. */
  readonly standing: Settings;
  /** By host id. Declarations of servers that are gone are kept but do not count. */
  readonly declared: Readonly<Record<string, Declaration>>;
}

/**
 * What the files of the auth servers declare. The first server that declares a key sets its value; a
 * different value applies only once every auth server that is alive declares it. Until then the older value
 * applies.
 */
export const configuration: Decider<ConfigurationState, DeclareConfiguration, ConfigurationFact> = {
  fact: writerReads(configurationFact),
  initial: { standing: {}, declared: {} },

  decide(state, { hostId, nodename, settings: own, alive }) {
    const before = state.declared[hostId];
    const isNew = before?.nodename !== nodename || !same(before.settings, own);
    const voices = Object.entries(state.declared)
      .filter(([id]) => id !== hostId && alive.includes(id))
      .map(([, declaration]) => declaration.settings);
    const adopted: Record<string, string> = {};
    for (const [key, value] of Object.entries(own)) {
      if (Object.hasOwn(state.standing, key) && state.standing[key] === value) continue;
      const unsettled = !Object.hasOwn(state.standing, key);
      // An auth server of an older version declares nothing about a key that it does not know.
      const agreed = voices.every((voice) => !Object.hasOwn(voice, key) || voice[key] === value);
      if (unsettled || agreed) adopted[key] = value;
    }
    return [
      ...(isNew
        ? [{ type: 'configuration.declared', data: { hostId, nodename, settings: own } } as const]
        : []),
      ...(Object.keys(adopted).length > 0
        ? [{ type: 'configuration.adopted', data: { settings: adopted } } as const]
        : []),
    ];
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'configuration.declared': {
        const { hostId, ...declaration } = fact.data;
        return { ...state, declared: { ...state.declared, [hostId]: declaration } };
      }
      case 'configuration.adopted':
        return { ...state, standing: { ...state.standing, ...fact.data.settings } };
      default:
        return unreachable(fact);
    }
  },
};

const same = (a: Settings, b: Settings): boolean =>
  Object.keys(a).length === Object.keys(b).length &&
  Object.entries(a).every(([key, value]) => Object.hasOwn(b, key) && b[key] === value);

/** A key for which the files differ from the value that applies. */
export interface Drift {
  readonly key: string;
  readonly standing: string;
  /** Those whose file declares another value, by name. */
  readonly others: readonly { readonly hostId: string; readonly nodename: string; readonly value: string }[];
}

/** What differs among the auth servers for which `isAlive` holds, by key. */
export function driftOf(
  { standing, declared }: ConfigurationState,
  isAlive: (hostId: string) => boolean,
): Drift[] {
  const living = Object.entries(declared)
    .filter(([hostId]) => isAlive(hostId))
    .sort(([, a], [, b]) => (a.nodename < b.nodename ? -1 : 1));
  return Object.entries(standing)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({
      key,
      standing: value,
      others: living.flatMap(([hostId, { nodename, settings }]) =>
        Object.hasOwn(settings, key) && settings[key] !== undefined && settings[key] !== value
          ? [{ hostId, nodename, value: settings[key] }]
          : [],
      ),
    }))
    .filter(({ others }) => others.length > 0);
}
