import { configuration, configurationFact, type ConfigurationState } from '../domain/config-facts.ts';
import { sessionLimitsOf } from '../domain/session-limits.ts';
import { configurationStream } from '../domain/streams.ts';
import { type Unreadable, withUnread } from './entities.ts';
import { readFact, typesOf, type UnreadableFact } from './read-fact.ts';
import type { Projection } from './view.ts';

/** With the facts that this release cannot read; the rest stays as it was. */
export type FoldedConfiguration = ConfigurationState & { readonly unreadable?: readonly UnreadableFact[] };

const types = typesOf(configurationFact);

/** What the files of the auth servers declare, and the values that apply. */
export const configurationView: Projection<FoldedConfiguration> = {
  name: 'configuration.1',
  initial: configuration.initial,
  apply(state, event) {
    if (event.stream !== configurationStream) return state;
    const reading = readFact(configurationFact, types, event);
    if (reading.status === 'ignored') return state;
    if (reading.status === 'unreadable')
      return { ...state, unreadable: withUnread(state.unreadable ?? [], reading.unread) };
    return { ...state, ...configuration.evolve(state, reading.fact) };
  },
  encode: (state) => state,
  decode: (stored) => stored as FoldedConfiguration,
};

/** When silent clients are asked whether they are there. */
export function keepAliveIn({ standing }: Pick<ConfigurationState, 'standing'>): {
  readonly intervalMs: number;
  readonly countMax: number;
} {
  const { keepAliveMs: intervalMs, keepAliveCountMax: countMax } = sessionLimitsOf(standing);
  return { intervalMs, countMax };
}

export const unreadableConfiguration = ({ unreadable = [] }: FoldedConfiguration): readonly Unreadable[] =>
  unreadable.map((fact) => ({ kind: 'configuration', name: '', ...fact }));
