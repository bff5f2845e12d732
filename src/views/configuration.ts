import { configuration, configurationFact, type ConfigurationState } from '../domain/config-facts.ts';
import { configurationStream } from '../domain/streams.ts';
import { readFact, typesOf } from './read-fact.ts';
import type { Projection } from './view.ts';

const types = typesOf(configurationFact);

/** What the files of the auth servers say, and what holds. */
export const configurationView: Projection<ConfigurationState> = {
  name: 'configuration.1',
  initial: configuration.initial,
  apply(state, event) {
    if (event.stream !== configurationStream) return state;
    const fact = readFact(configurationFact, types, event);
    return fact ? configuration.evolve(state, fact) : state;
  },
  encode: (state) => state,
  decode: (stored) => stored as ConfigurationState,
};
